package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/slipway/app/src/models"
)

// readyTimeout is shorter than the usual time-out of a probe, so that the answer is 503 and not silence.
const readyTimeout = 2 * time.Second

// healthBody never changes: the process answers, and no dependency can make it look dead.
const healthBody = `{"status": "healthy", "service": "app"}` + "\n"

func (a *api) health(w http.ResponseWriter, _ *http.Request) error {
	setHeaders(w, http.StatusOK)
	_, _ = io.WriteString(w, healthBody) // the client may be gone
	return nil
}

// ready answers 503 while the database does not: traffic should go elsewhere, but a restart would not help.
func (a *api) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.store.Ping(ctx); err != nil {
		return fmt.Errorf("%w: %w", models.ErrUnavailable, err)
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready", "service": "app"})
	return nil
}

func (a *api) version(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, a.build)
	return nil
}
