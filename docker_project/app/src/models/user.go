// Package models holds the users: what a valid one is, and how they are stored in PostgreSQL.
package models

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxNameLength = 100
	// RFC 5321, 4.5.3.1.3, less the angle brackets.
	maxEmailLength = 254
)

// User is one row of the users table.
type User struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// UserInput is what a client may choose about a user.
type UserInput struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Page selects a part of a list.
type Page struct {
	Limit  int
	Offset int
}

// UserList is one page of the users in the order of their ids, and how many there are in all.
type UserList struct {
	Users []User
	Total int
}

// Normalize returns the input as it is stored: no space around it, and the address in lower case, so that
// Ada@Example.com and ada@example.com are one user.
func (in UserInput) Normalize() UserInput {
	return UserInput{
		Name:  strings.TrimSpace(in.Name),
		Email: strings.ToLower(strings.TrimSpace(in.Email)),
	}
}

// Validate returns a *ValidationError that names every field at fault, or nil.
func (in UserInput) Validate() error {
	fields := make(map[string]string)
	if problem := nameProblem(in.Name); problem != "" {
		fields["name"] = problem
	}
	if problem := emailProblem(in.Email); problem != "" {
		fields["email"] = problem
	}
	if len(fields) > 0 {
		return &ValidationError{Fields: fields}
	}
	return nil
}

func nameProblem(name string) string {
	switch {
	case name == "":
		return "is required"
	case utf8.RuneCountInString(name) > maxNameLength:
		return "must be at most 100 characters long"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not contain control characters"
	}
	return ""
}

func emailProblem(email string) string {
	switch {
	case email == "":
		return "is required"
	case len(email) > maxEmailLength:
		return "must be at most 254 bytes long"
	}
	// ParseAddress also reads "Ada <ada@example.com>"; only the bare address is wanted.
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || strings.ContainsFunc(email, unicode.IsControl) {
		return "must be an e-mail address such as ada@example.com"
	}
	return ""
}
