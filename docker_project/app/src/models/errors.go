package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrNotFound reports that no user has the wanted id.
	ErrNotFound = errors.New("user not found")
	// ErrDuplicateEmail reports that another user has the e-mail address.
	ErrDuplicateEmail = errors.New("e-mail address is already in use")
	// ErrUnavailable reports that the database did not answer; trying again later may help.
	ErrUnavailable = errors.New("database is unavailable")
)

// ValidationError says for each field what is wrong with it.
type ValidationError struct {
	Fields map[string]string
}

// Error lists the fields in alphabetical order.
func (e *ValidationError) Error() string {
	problems := make([]string, 0, len(e.Fields))
	for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
		problems = append(problems, field+" "+e.Fields[field])
	}
	return "validation failed: " + strings.Join(problems, ", ")
}

// Codes and classes of https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	uniqueViolation       = "23505"
	connectionException   = "08"
	insufficientResources = "53"
	operatorIntervention  = "57"
)

// translate turns an error of the driver into one of this package's; others it returns as they are.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if isUnavailable(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var serverError *pgconn.PgError
	if errors.As(err, &serverError) && serverError.Code == uniqueViolation {
		return ErrDuplicateEmail
	}
	return err
}

// isUnavailable tells whether no connection was to be had, it broke, or the server is starting, stopping or full.
func isUnavailable(err error) bool {
	var connectError *pgconn.ConnectError
	if errors.As(err, &connectError) {
		return true
	}
	var serverError *pgconn.PgError
	if errors.As(err, &serverError) {
		class := serverError.Code[:min(2, len(serverError.Code))]
		return class == connectionException || class == insufficientResources || class == operatorIntervention
	}
	var networkError net.Error // context.DeadlineExceeded is one
	return errors.As(err, &networkError) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		pgconn.SafeToRetry(err)
}
