package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/slipway/app/src/config"
)

const (
	serviceName = "app"
	scope       = "example.com/slipway/app"
)

// Traces sends the spans of requests to a collector. A nil *Traces makes none and is what the service has without one.
type Traces struct {
	provider *sdktrace.TracerProvider
}

// StartTraces returns traces that go to a collector. Which requests are recorded is said by OTEL_TRACES_SAMPLER, and
// what describes the service by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, which the SDK reads by itself
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
//
// The collector may be away: spans wait in a queue (OTEL_BSP_*), those that no longer fit are dropped, and no request
// ever waits. What could not be sent is a warning in the log.
func StartTraces(
	ctx context.Context, to config.Traces, version string, logger *slog.Logger,
) (*Traces, error) {
	otel.SetErrorHandler(&errorLog{logger: logger, every: time.Minute})
	described, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(), // in a container its id, as a name
		resource.WithAttributes(semconv.ServiceName(serviceName), semconv.ServiceVersion(version)),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptrace.New(ctx, newCollector(to))
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	queue := sdktrace.WithBatcher(exporter,
		sdktrace.WithMaxQueueSize(to.Batches.Queue), sdktrace.WithMaxExportBatchSize(to.Batches.Size),
		sdktrace.WithBatchTimeout(to.Batches.Delay), sdktrace.WithExportTimeout(to.Batches.Timeout))
	return newTraces(sdktrace.WithResource(described), queue), nil
}

func newTraces(options ...sdktrace.TracerProviderOption) *Traces {
	return &Traces{provider: sdktrace.NewTracerProvider(options...)}
}

// Tracer returns what makes the spans of requests, nil without traces.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
}

// QueryTracer returns what makes the spans of queries to a database, as children of a recorded request only; nil
// without traces. Their text is that of the statement, never with its parameters.
func (t *Traces) QueryTracer(host string, port int, database string) pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return recordedQueries{otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.provider),
		// The same for each query; the library would copy the configuration of the connection for each.
		otelpgx.WithDisableConnectionDetailsInAttributes(),
		otelpgx.WithTracerAttributes([]attribute.KeyValue{
			semconv.ServerAddress(host), semconv.ServerPort(port), semconv.DBNamespace(database),
		}...),
	)}
}

// Stop sends what is still queued, until the context ends.
func (t *Traces) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// errorLog writes what goes wrong with traces, but not each time: a collector that is away fails every batch.
type errorLog struct {
	logger *slog.Logger
	every  time.Duration

	mutex  sync.Mutex
	last   time.Time
	hidden int
}

// Handle implements otel.ErrorHandler.
func (e *errorLog) Handle(err error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if time.Since(e.last) < e.every {
		e.hidden++
		return
	}
	e.logger.LogAttrs(context.Background(), slog.LevelWarn, "traces are not sent",
		slog.String("error", err.Error()), slog.Int("not_logged_before", e.hidden))
	e.last, e.hidden = time.Now(), 0
}
