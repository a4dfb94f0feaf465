package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/slipway/app/src/config"
	"example.com/slipway/app/src/telemetry"
)

const (
	// Both come after the requests in flight are done; with SHUTDOWN_TIMEOUT they fit the usual time until SIGKILL.
	lastScrapeTimeout = time.Second
	lastSpansTimeout  = 2 * time.Second
)

// startTraces returns nil without a collector: then no code of theirs runs.
func startTraces(ctx context.Context, settings config.Config, logger *slog.Logger) (*telemetry.Traces, error) {
	if settings.Traces == nil {
		return nil, nil
	}
	return telemetry.StartTraces(ctx, *settings.Traces, version, logger)
}

// stopTraces sends what is left, but does not hold up the end for a collector that is away.
func stopTraces(ctx context.Context, traces *telemetry.Traces, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpansTimeout)
	defer cancel()
	if err := traces.Stop(ctx); err != nil {
		logger.Warn("the last traces are not sent", "error", err.Error())
	}
}

// serveMetrics serves metrics on a port of their own, which no proxy leads to, until stop is called. Without a port
// there are none, and stop does nothing.
func serveMetrics(
	ctx context.Context, port int, pool func() *pgxpool.Stat, logger *slog.Logger,
) (metrics *telemetry.Metrics, stop func(), err error) {
	if port == 0 {
		return nil, func() {}, nil
	}
	listener, err := listen(ctx, port)
	if err != nil {
		return nil, nil, err
	}
	metrics = telemetry.NewMetrics(version, commit)
	metrics.WatchPool(pool)
	server := newServer(metrics.Handler(logger), logger)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are no longer served", "error", err.Error())
		}
	}()
	return metrics, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastScrapeTimeout)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // a scrape that takes longer is cut off
		}
		<-done
	}, nil
}
