package handlers

import (
	"context"
	"errors"
	"net/http"

	"example.com/slipway/app/src/models"
)

// statusClientClosedRequest is nginx's code for a client that did not wait for the answer: no client reads it, but
// the access log must not show it as a fault of the service.
const statusClientClosedRequest = 499

// Problem is an error as the client gets it.
type Problem struct {
	Status  int               `json:"-"`
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Code + ": " + p.Message }

// problemFor returns what the client may know about an error.
func problemFor(err error) *Problem {
	var problem *Problem
	var invalid *models.ValidationError
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &invalid):
		return unprocessable(invalid.Fields)
	case errors.Is(err, models.ErrNotFound):
		return &Problem{Status: http.StatusNotFound, Code: "user_not_found", Message: "there is no user with this id"}
	case errors.Is(err, models.ErrDuplicateEmail):
		return &Problem{
			Status: http.StatusConflict, Code: "duplicate_email", Message: "another user has this e-mail address",
			Fields: map[string]string{"email": "is already in use"},
		}
	case errors.Is(err, models.ErrUnavailable):
		return &Problem{
			Status: http.StatusServiceUnavailable, Code: "database_unavailable",
			Message: "the database does not answer, try again later",
		}
	case errors.Is(err, context.Canceled):
		return &Problem{
			Status: statusClientClosedRequest, Code: "client_closed_request", Message: "the client closed the connection",
		}
	}
	return &Problem{
		Status: http.StatusInternalServerError, Code: "internal_error", Message: "the service could not handle the request",
	}
}

func unprocessable(fields map[string]string) *Problem {
	return &Problem{
		Status: http.StatusUnprocessableEntity, Code: "validation_failed", Message: "the request body is not valid",
		Fields: fields,
	}
}

func badParameter(fields map[string]string) *Problem {
	return &Problem{
		Status: http.StatusBadRequest, Code: "invalid_parameter", Message: "a parameter of the address is not valid",
		Fields: fields,
	}
}
