package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

const (
	traceHeader      = "Traceparent"
	traceLength      = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	traceFields      = 4
	firstTraceFormat = "00"
	noTraceFormat    = "ff"
)

// spanContext says which request of a trace a request is part of: https://www.w3.org/TR/trace-context/
type spanContext struct{ traceID, spanID string }

type spanContextKey struct{}

// withTrace takes the trace that a request is part of from its header; a header that is not as it should be counts as
// none, as the specification wants.
func withTrace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header[traceHeader]; len(values) == 1 {
			if span, ok := parseTrace(values[0]); ok {
				r = r.WithContext(context.WithValue(r.Context(), spanContextKey{}, span))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// parseTrace reads the four fields that every format has; a later one may have more behind them.
func parseTrace(header string) (spanContext, bool) {
	if len(header) < traceLength {
		return spanContext{}, false
	}
	if more := header[traceLength:]; more != "" && (header[:2] == firstTraceFormat || more[0] != '-') {
		return spanContext{}, false
	}
	fields := strings.Split(header[:traceLength], "-")
	if len(fields) != traceFields || fields[0] == noTraceFormat {
		return spanContext{}, false
	}
	for i, length := range [traceFields]int{2, 32, 16, 2} {
		if len(fields[i]) != length || strings.Trim(fields[i], "0123456789abcdef") != "" {
			return spanContext{}, false
		}
	}
	span := spanContext{traceID: fields[1], spanID: fields[2]}
	return span, strings.Trim(span.traceID, "0") != "" && strings.Trim(span.spanID, "0") != ""
}

// traceLog adds the trace of the request that a line is about to the line: the service's own span, or where it makes
// none, the one that the request came with.
type traceLog struct{ slog.Handler }

// Handle implements slog.Handler.
func (t traceLog) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	} else if span, ok := ctx.Value(spanContextKey{}).(spanContext); ok {
		record.AddAttrs(slog.String("trace_id", span.traceID), slog.String("span_id", span.spanID))
	}
	return t.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (t traceLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceLog{t.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (t traceLog) WithGroup(name string) slog.Handler {
	return traceLog{t.Handler.WithGroup(name)}
}
