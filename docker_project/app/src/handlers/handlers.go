// Package handlers is the HTTP interface of the service: its routes, what they accept and what they answer.
package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"example.com/slipway/app/src/models"
)

// requestTimeout bounds the work for one request; it is shorter than the server's write timeout, so that the
// client still gets an answer.
const requestTimeout = 10 * time.Second

// Store is what the handlers need of the users' storage. Its methods return the errors of package models.
type Store interface {
	Ping(ctx context.Context) error
	List(ctx context.Context, page models.Page) (models.UserList, error)
	Create(ctx context.Context, input models.UserInput) (models.User, error)
	Get(ctx context.Context, id int64) (models.User, error)
	Update(ctx context.Context, id int64, input models.UserInput) (models.User, error)
	Delete(ctx context.Context, id int64) error
}

// Build says what is running.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Time    string `json:"build_time"`
}

// api holds what the endpoints share.
type api struct {
	store  Store
	build  Build
	logger *slog.Logger
}

// New returns the handler of the whole service.
func New(store Store, build Build, logger *slog.Logger) http.Handler {
	a := &api{store: store, build: build, logger: logger}
	mux := http.NewServeMux()
	for pattern, allowed := range map[string]methods{
		"/health":         {http.MethodGet: a.health},
		"/ready":          {http.MethodGet: a.ready},
		"/version":        {http.MethodGet: a.version},
		"/api/users":      {http.MethodGet: a.listUsers, http.MethodPost: a.createUser},
		"/api/users/{id}": {http.MethodGet: a.getUser, http.MethodPut: a.updateUser, http.MethodDelete: a.deleteUser},
	} {
		mux.Handle(pattern, a.handler(allowed.serve))
	}
	mux.Handle("/", a.handler(notFound))
	return withRequestID(withAccessLog(logger, a.withRecovery(withTimeout(requestTimeout, mux))))
}

func notFound(http.ResponseWriter, *http.Request) error {
	return &Problem{Status: http.StatusNotFound, Code: "not_found", Message: "there is nothing at this address"}
}
