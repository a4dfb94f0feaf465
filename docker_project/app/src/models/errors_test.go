package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestTranslate(t *testing.T) {
	scanFailed := pgx.ScanArgError{ColumnIndex: 1, Err: errors.New("cannot scan text into int64")}
	undefinedTable := &pgconn.PgError{Code: "42P01"}
	tests := map[string]struct{ err, want error }{
		"nothing":                 {nil, nil},
		"no row":                  {fmt.Errorf("query: %w", pgx.ErrNoRows), ErrNotFound},
		"unique violation":        {&pgconn.PgError{Code: "23505"}, ErrDuplicateEmail},
		"server is shutting down": {&pgconn.PgError{Code: "57P01"}, ErrUnavailable},
		"too many connections":    {&pgconn.PgError{Code: "53300"}, ErrUnavailable},
		"refused":                 {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, ErrUnavailable},
		"connection broke":        {fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), ErrUnavailable},
		"too slow":                {fmt.Errorf("query: %w", context.DeadlineExceeded), ErrUnavailable},
		"client went away":        {fmt.Errorf("query: %w", context.Canceled), context.Canceled},
		"missing table":           {undefinedTable, undefinedTable},
		"our own mistake":         {scanFailed, scanFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := translate(test.err); !errors.Is(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTranslateDoesNotBlameTheDatabaseForOurMistakes(t *testing.T) {
	for _, err := range []error{pgx.ScanArgError{Err: errors.New("cannot scan")}, &pgconn.PgError{Code: "42P01"}} {
		if errors.Is(translate(err), ErrUnavailable) {
			t.Errorf("%v counts as unavailable", err)
		}
	}
}
