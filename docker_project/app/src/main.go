// Command app serves users over HTTP from a PostgreSQL database.
//
//	app              serve; the settings come from the environment (package config)
//	app healthcheck  exit 0 when the service on this machine is healthy, else 1
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"example.com/slipway/app/src/config"
	"example.com/slipway/app/src/handlers"
	"example.com/slipway/app/src/models"
)

// Set by the linker: -X main.version=…
var (
	version   = "0.0.0-dev"
	commit    = "unknown"
	buildTime = "1970-01-01T00:00:00Z"
)

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	// Before anything else: as process 1 of a container, a signal without a handler is ignored.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var err error
	code := exitFailure
	switch {
	case len(args) == 0:
		err = serve(ctx, getenv, stdout)
		var configError *config.Error
		if errors.As(err, &configError) {
			code = exitUsage
		}
	case len(args) == 1 && args[0] == "healthcheck":
		err = healthcheck(ctx, getenv) // Docker reserves all codes but 0 and 1
	default:
		err, code = errors.New("usage: app [healthcheck]"), exitUsage
	}
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(stderr, "app:", err)
	return code
}

// serve runs the service until ctx ends.
func serve(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	settings, err := config.Load(getenv)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(stdout, &slog.HandlerOptions{Level: settings.LogLevel}))
	traces, err := startTraces(ctx, settings, logger)
	if err != nil {
		return err
	}
	defer stopTraces(ctx, traces, logger)
	database := settings.Database
	pool, err := models.OpenPool(ctx, database, traces.QueryTracer(database.Host, database.Port, database.Name))
	if err != nil {
		return err
	}
	defer pool.Close()
	metrics, stopMetrics, err := serveMetrics(ctx, settings.MetricsPort, pool.Stat, logger)
	if err != nil {
		return err
	}
	defer stopMetrics()

	listener, err := listen(ctx, settings.Port)
	if err != nil {
		return err
	}
	build := handlers.Build{Version: version, Commit: commit, Time: buildTime}
	logger.Info("listening", "address", listener.Addr().String(), "version", version, "commit", commit,
		"database_host", database.Host, "database_name", database.Name)
	measured := handlers.Telemetry{Metrics: metrics, Tracer: traces.Tracer()}
	server := newServer(handlers.New(models.NewStore(pool), build, logger, measured), logger)
	return serveUntil(ctx, server, listener, settings.ShutdownTimeout, logger)
}
