package handlers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"example.com/slipway/app/src/models"
)

func TestProblemForHidesWhatTheClientNeedNotKnow(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
		code   string
	}{
		"own problem":    {badParameter(nil), 400, "invalid_parameter"},
		"validation":     {&models.ValidationError{}, 422, "validation_failed"},
		"not found":      {fmt.Errorf("get: %w", models.ErrNotFound), 404, "user_not_found"},
		"duplicate":      {models.ErrDuplicateEmail, 409, "duplicate_email"},
		"no database":    {fmt.Errorf("%w: dial 10.0.0.2", models.ErrUnavailable), 503, "database_unavailable"},
		"client is gone": {fmt.Errorf("query: %w", context.Canceled), 499, "client_closed_request"},
		"anything else":  {errors.New("relation users does not exist"), 500, "internal_error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := problemFor(test.err)
			if got.Status != test.status || got.Code != test.code {
				t.Errorf("got %d %s, want %d %s", got.Status, got.Code, test.status, test.code)
			}
		})
	}
}
