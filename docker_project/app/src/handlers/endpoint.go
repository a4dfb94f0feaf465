package handlers

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// endpoint answers a request, or returns an error and has written nothing.
type endpoint func(http.ResponseWriter, *http.Request) error

// handler turns an endpoint into a handler that answers its errors as JSON.
func (a *api) handler(serve endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// fail answers with the error. Those that the client cannot know about go to the log with their cause.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := problemFor(err)
	if problem.Status >= http.StatusInternalServerError {
		a.logger.LogAttrs(r.Context(), slog.LevelError, "request failed",
			slog.String("request_id", requestID(r.Context())),
			slog.String("code", problem.Code),
			slog.String("error", err.Error()))
	}
	writeJSON(w, problem.Status, struct {
		Error *Problem `json:"error"`
	}{problem})
}

// methods are the endpoints of one address. http.ServeMux could tell them apart as well, but answers the others
// in plain text.
type methods map[string]endpoint

func (m methods) serve(w http.ResponseWriter, r *http.Request) error {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves out the body
	}
	if serve, ok := m[method]; ok {
		return serve(w, r)
	}
	w.Header().Set("Allow", m.allowed())
	if method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return &Problem{
		Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "this address allows " + m.allowed(),
	}
}

func (m methods) allowed() string {
	names := append(slices.Collect(maps.Keys(m)), http.MethodOptions)
	if _, ok := m[http.MethodGet]; ok {
		names = append(names, http.MethodHead)
	}
	return strings.Join(slices.Sorted(slices.Values(names)), ", ")
}
