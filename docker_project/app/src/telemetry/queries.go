package telemetry

import (
	"context"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
)

// recordedQueries makes a span of each query of a recorded request. Elsewhere it does nothing at all, while the library
// still takes the time, for metrics that nobody reads here. It is not told of anything but queries: how long they wait
// for a connection is a metric of the pool, and a statement is prepared once in the life of a connection.
type recordedQueries struct{ tracer *otelpgx.Tracer }

func isRecorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// TraceQueryStart implements pgx.QueryTracer.
func (q recordedQueries) TraceQueryStart(
	ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData,
) context.Context {
	if !isRecorded(ctx) {
		return ctx
	}
	if isFrame(data.SQL) { // the end must not be taken for that of the request, whose span is in the context
		return trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(ctx))
	}
	return q.tracer.TraceQueryStart(ctx, conn, data)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (q recordedQueries) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if isRecorded(ctx) {
		q.tracer.TraceQueryEnd(ctx, conn, data)
	}
}

// isFrame returns whether a statement is one that pgx begins or ends a transaction with. They are half of the statements
// of a request that reads two tables at one time, and say nothing that the queries between them do not.
func isFrame(sql string) bool {
	return strings.HasPrefix(sql, "begin") || sql == "commit" || sql == "rollback"
}
