// Package handlers is the HTTP interface of the service: its routes, what they accept and what they answer.
package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"example.com/slipway/app/src/models"
	"example.com/slipway/app/src/telemetry"
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

// Telemetry is what measures requests; what is nil does not.
type Telemetry struct {
	Metrics *telemetry.Metrics
	Tracer  trace.Tracer
}

// api holds what the endpoints share.
type api struct {
	store  Store
	build  Build
	logger *slog.Logger
}

// New returns the handler of the whole service. What it logs of a request has the trace that the request is part of.
func New(store Store, build Build, logger *slog.Logger, measured Telemetry) http.Handler {
	logger = slog.New(traceLog{logger.Handler()})
	a := &api{store: store, build: build, logger: logger}
	mux := http.NewServeMux()
	for pattern, allowed := range map[string]methods{
		"/health":         {http.MethodGet: a.health},
		"/ready":          {http.MethodGet: a.ready},
		"/version":        {http.MethodGet: a.version},
		"/api/users":      {http.MethodGet: a.listUsers, http.MethodPost: a.createUser},
		"/api/users/{id}": {http.MethodGet: a.getUser, http.MethodPut: a.updateUser, http.MethodDelete: a.deleteUser},
	} {
		mux.Handle(pattern, withRoute(pattern, a.handler(allowed.serve)))
		measured.expect(pattern, allowed)
	}
	mux.Handle("/", a.handler(notFound))
	served := withAccessLog(logger, a.withRecovery(withTimeout(requestTimeout, mux)))
	return measured.withTelemetry(withRequestID(served))
}

func notFound(http.ResponseWriter, *http.Request) error {
	return &Problem{Status: http.StatusNotFound, Code: "not_found", Message: "there is nothing at this address"}
}
