// Package config reads the service's settings from environment variables.
package config

import (
	"log/slog"
	"time"
)

const (
	defaultPort         = 8000
	defaultDatabasePort = 5432
	// A query takes about a millisecond: four connections serve a thousand of them a second. Each is a process of the
	// database, and all of a release begin and end together, next to those of the release before.
	defaultMaxConns        = 4
	defaultShutdownTimeout = 10 * time.Second

	maxPort            = 65535
	maxMaxConns        = 1000
	maxShutdownTimeout = 10 * time.Minute
)

// Config is everything that can be set from outside.
type Config struct {
	Port            int
	LogLevel        slog.Level
	ShutdownTimeout time.Duration
	Database        Database
	// MetricsPort is where metrics are served, 0 for nowhere.
	MetricsPort int
	// Traces is nil when no traces are made.
	Traces *Traces
}

// Database says how to reach PostgreSQL. What is not here (TLS mode, root certificate) follows libpq's own
// variables, such as PGSSLMODE.
type Database struct {
	Host     string
	Port     int
	Name     string
	User     string
	Password Secret
	MaxConns int
}

// Load reads the settings through getenv, such as os.Getenv; an empty variable counts as unset. It returns an
// *Error that lists every fault, not just the first.
func Load(getenv func(string) string) (Config, error) {
	env := reader{getenv: getenv}
	config := Config{
		Port:            env.integer("PORT", defaultPort, maxPort),
		LogLevel:        env.level("LOG_LEVEL"),
		ShutdownTimeout: env.duration("SHUTDOWN_TIMEOUT", defaultShutdownTimeout, maxShutdownTimeout),
		Database: Database{
			Host:     env.required("DB_HOST"),
			Port:     env.integer("DB_PORT", defaultDatabasePort, maxPort),
			Name:     env.required("DB_NAME"),
			User:     env.required("DB_USER"),
			Password: env.secret("DB_PASSWORD"),
			MaxConns: env.integer("DB_MAX_CONNS", defaultMaxConns, maxMaxConns),
		},
		MetricsPort: env.integer("METRICS_PORT", 0, maxPort),
		Traces:      env.traces(),
	}
	if config.MetricsPort == config.Port {
		env.fault("METRICS_PORT", "is the port of the service, %d: metrics need one of their own", config.Port)
	}
	if len(env.faults) > 0 {
		return Config{}, &Error{Faults: env.faults}
	}
	return config, nil
}

// LoadPort reads only PORT: the health check runs in the same container and needs nothing else.
func LoadPort(getenv func(string) string) (int, error) {
	env := reader{getenv: getenv}
	port := env.integer("PORT", defaultPort, maxPort)
	if len(env.faults) > 0 {
		return 0, &Error{Faults: env.faults}
	}
	return port, nil
}
