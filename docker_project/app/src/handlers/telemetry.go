package handlers

import (
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/slipway/app/src/telemetry"
)

// expect announces a route to the metrics; probes are not measured.
func (t Telemetry) expect(pattern string, allowed methods) {
	if t.Metrics == nil || probes[pattern] {
		return
	}
	for method := range allowed {
		status := http.StatusOK
		switch method {
		case http.MethodPost:
			status = http.StatusCreated
		case http.MethodDelete:
			status = http.StatusNoContent
		}
		t.Metrics.Expect(method, pattern, status)
	}
}

// withTelemetry measures requests as far as there is something to measure with.
func (t Telemetry) withTelemetry(next http.Handler) http.Handler {
	if t.Metrics != nil {
		next = withMetrics(t.Metrics, next)
	}
	if t.Tracer != nil {
		return withSpan(t.Tracer, next)
	}
	return withTrace(next)
}

// withRoute notes the pattern of an address, which metrics and spans are named by: the address itself is without end.
func withRoute(pattern string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec, ok := w.(*recorder); ok {
			rec.route = pattern
		}
		next.ServeHTTP(w, r)
	})
}

// withMetrics counts and times requests. Probes come every few seconds whether the service is used or not: their
// share would hide how those fare who use it.
func withMetrics(metrics *telemetry.Metrics, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probes[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		start, rec := time.Now(), recorderOf(w)
		metrics.Begin()
		defer func() { metrics.End(r.Context(), r.Method, rec.route, rec.status, time.Since(start)) }()
		next.ServeHTTP(rec, r)
	})
}

// withSpan makes a span of each request but those of probes. It is part of the trace that the client has sent, and
// named by the route (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server).
func withSpan(tracer trace.Tracer, next http.Handler) http.Handler {
	propagator := propagation.TraceContext{}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)} // not anew for each request
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if len(r.Header[traceHeader]) == 1 { // several count as none, as the specification wants
			ctx = propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		if probes[r.URL.Path] {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		rec, method := recorderOf(w), telemetry.Method(r.Method)
		ctx, span := tracer.Start(ctx, method, options...)
		defer span.End()
		if span.IsRecording() { // nothing else reads what describes it
			span.SetAttributes(
				semconv.HTTPRequestMethodKey.String(method), semconv.URLPath(r.URL.Path), semconv.URLScheme(scheme(r)))
			defer func() { describe(span, method, rec) }()
		}
		next.ServeHTTP(rec, r.WithContext(ctx))
	})
}

// scheme returns what the client has used, which the proxy says.
func scheme(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}

// describe adds to a span how the request was answered.
func describe(span trace.Span, method string, rec *recorder) {
	if rec.route != "" {
		span.SetName(method + " " + rec.route)
		span.SetAttributes(semconv.HTTPRoute(rec.route))
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(rec.status))
	if rec.status >= http.StatusInternalServerError {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(rec.status)))
		span.SetStatus(codes.Error, "")
	}
}
