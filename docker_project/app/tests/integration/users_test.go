//go:build integration

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

type user struct {
	ID    int64  `json:"id,omitempty"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

type page struct {
	Users []user `json:"users"`
	Total int    `json:"total"`
}

type problem struct {
	Error struct {
		Code   string            `json:"code"`
		Fields map[string]string `json:"fields"`
	} `json:"error"`
}

func users(t *testing.T, query string) page {
	t.Helper()
	var found page
	send(t, http.MethodGet, "/api/users"+query, nil).want(http.StatusOK).into(&found)
	return found
}

func TestUsersAreThoseOfTheSeed(t *testing.T) {
	group(t)
	found := users(t, "?limit=100")
	if found.Total < 20 || len(found.Users) != found.Total {
		t.Fatalf("got %d users of %d", len(found.Users), found.Total)
	}
	if found.Users[0].Email != "ada@example.com" {
		t.Errorf("got %q first", found.Users[0].Email)
	}
}

func TestUserLivesFromCreationToDeletion(t *testing.T) {
	group(t)
	before := users(t, "").Total
	var created user
	answer := send(t, http.MethodPost, "/api/users", user{Name: " Mary Jackson ", Email: "Mary@Example.com"})
	answer.want(http.StatusCreated).into(&created)
	if created.Name != "Mary Jackson" || created.Email != "mary@example.com" {
		t.Errorf("got %+v", created)
	}
	path := answer.header.Get("Location")
	if path != fmt.Sprintf("/api/users/%d", created.ID) {
		t.Fatalf("Location: got %q", path)
	}
	var changed user
	send(t, http.MethodPut, path, user{Name: "M. Jackson", Email: "mary@example.com"}).want(http.StatusOK).into(&changed)
	if changed.ID != created.ID || changed.Name != "M. Jackson" {
		t.Errorf("got %+v", changed)
	}
	send(t, http.MethodDelete, path, nil).want(http.StatusNoContent)
	send(t, http.MethodGet, path, nil).want(http.StatusNotFound)
	if after := users(t, "").Total; after != before {
		t.Errorf("got %d users, want %d", after, before)
	}
}

func TestGroupsBeginWithTheSameRows(t *testing.T) {
	group(t)
	before := users(t, "?limit=100")
	send(t, http.MethodDelete, fmt.Sprintf("/api/users/%d", before.Users[0].ID), nil).want(http.StatusNoContent)
	send(t, http.MethodPost, "/api/users", user{Name: "New", Email: "new@example.com"}).want(http.StatusCreated)
	if err := resetFixtures(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := users(t, "?limit=100"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("got  %v\nwant %v", after, before)
	}
	// The ids go on after the last one, as they would in a database that was never touched.
	var created user
	send(t, http.MethodPost, "/api/users", user{Name: "New", Email: "new@example.com"}).want(http.StatusCreated).into(&created)
	if last := before.Users[len(before.Users)-1].ID; created.ID != last+1 {
		t.Errorf("got id %d after %d", created.ID, last)
	}
}

func TestPagesTogetherAreTheWholeList(t *testing.T) {
	group(t)
	whole, seen := users(t, "?limit=100"), []user{}
	for offset := 0; offset < whole.Total; offset += 7 {
		seen = append(seen, users(t, fmt.Sprintf("?limit=7&offset=%d", offset)).Users...)
	}
	if fmt.Sprint(seen) != fmt.Sprint(whole.Users) {
		t.Errorf("got  %v\nwant %v", seen, whole.Users)
	}
}

func TestFaultsAreToldWithTheirField(t *testing.T) {
	group(t)
	tests := map[string]struct {
		body   user
		status int
		code   string
		field  string
	}{
		"no name":    {user{Email: "new@example.com"}, http.StatusUnprocessableEntity, "validation_failed", "name"},
		"no address": {user{Name: "New", Email: "new"}, http.StatusUnprocessableEntity, "validation_failed", "email"},
		"taken":      {user{Name: "New", Email: "ADA@example.com"}, http.StatusConflict, "duplicate_email", "email"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var found problem
			body := map[string]string{"name": test.body.Name, "email": test.body.Email}
			send(t, http.MethodPost, "/api/users", body).want(test.status).into(&found)
			if found.Error.Code != test.code || found.Error.Fields[test.field] == "" {
				t.Errorf("got %+v", found.Error)
			}
		})
	}
}

// The unique index decides, whoever comes first.
func TestOneOfManyGetsAnAddress(t *testing.T) {
	group(t)
	const attempts = 8
	var created, refused sync.Map
	t.Run("at once", func(t *testing.T) {
		for i := range attempts {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				body := map[string]string{"name": "New", "email": "new@example.com"}
				switch got := send(t, http.MethodPost, "/api/users", body); got.status {
				case http.StatusCreated:
					created.Store(i, true)
				case http.StatusConflict:
					refused.Store(i, true)
				default:
					t.Errorf("got status %d: %s", got.status, got.body)
				}
			})
		}
	})
	if count(&created) != 1 || count(&refused) != attempts-1 {
		t.Errorf("%d created, %d refused", count(&created), count(&refused))
	}
}

func count(found *sync.Map) int {
	n := 0
	found.Range(func(any, any) bool { n++; return true })
	return n
}

func TestLargeBodiesAreRefused(t *testing.T) {
	group(t)
	for name, size := range map[string]int{"by the service": 100 << 10, "by the proxy": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			var found problem
			body := map[string]string{"name": strings.Repeat("x", size), "email": "new@example.com"}
			send(t, http.MethodPost, "/api/users", body).want(http.StatusRequestEntityTooLarge).into(&found)
			if found.Error.Code != "body_too_large" {
				t.Errorf("got %+v", found.Error)
			}
		})
	}
}
