package handlers

import (
	"net/http"
	"strconv"

	"example.com/slipway/app/src/models"
)

// userPage is one page of users with what the client needs to ask for the next.
type userPage struct {
	Users  []models.User `json:"users"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
}

func (a *api) listUsers(w http.ResponseWriter, r *http.Request) error {
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	list, err := a.store.List(r.Context(), page)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, userPage{Users: list.Users, Total: list.Total, Limit: page.Limit, Offset: page.Offset})
	return nil
}

func (a *api) createUser(w http.ResponseWriter, r *http.Request) error {
	input, err := userInput(w, r)
	if err != nil {
		return err
	}
	user, err := a.store.Create(r.Context(), input)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/users/"+strconv.FormatInt(user.ID, 10))
	writeJSON(w, http.StatusCreated, user)
	return nil
}

func (a *api) getUser(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	user, err := a.store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, user)
	return nil
}

// updateUser replaces the user: PUT names every field (RFC 9110, 9.3.4).
func (a *api) updateUser(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	input, err := userInput(w, r)
	if err != nil {
		return err
	}
	user, err := a.store.Update(r.Context(), id, input)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, user)
	return nil
}

func (a *api) deleteUser(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	if err := a.store.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
