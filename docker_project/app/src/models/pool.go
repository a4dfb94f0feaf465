package models

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/slipway/app/src/config"
)

const (
	applicationName = "app"
	connectTimeout  = 3 * time.Second
)

// OpenPool returns a pool of connections to the database. It does not connect yet, so that the service can start
// before its database does. The tracer is told of each query; it may be nil.
func OpenPool(ctx context.Context, database config.Database, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	settings, err := pgxpool.ParseConfig(connectionString(database))
	if err != nil {
		return nil, fmt.Errorf("database settings: %w", err)
	}
	// #nosec G115 -- config.Load keeps it between 1 and 1000.
	settings.MaxConns = int32(database.MaxConns)
	settings.ConnConfig.ConnectTimeout = connectTimeout
	settings.ConnConfig.RuntimeParams["application_name"] = applicationName
	settings.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool, nil
}

// connectionString names every value that libpq's PG* variables could replace. The form is that of
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
func connectionString(database config.Database) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	return fmt.Sprintf("host='%s' port=%d dbname='%s' user='%s' password='%s'",
		escape.Replace(database.Host), database.Port, escape.Replace(database.Name),
		escape.Replace(database.User), escape.Replace(database.Password.Reveal()))
}
