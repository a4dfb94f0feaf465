package handlers

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/slipway/app/src/models"
	"example.com/slipway/app/src/telemetry"
)

// fixedStore answers at once, so that what is measured is the service and not a database.
type fixedStore struct {
	users []models.User
}

func (s fixedStore) Ping(context.Context) error { return nil }

func (s fixedStore) List(_ context.Context, page models.Page) (models.UserList, error) {
	return models.UserList{Users: s.users[:min(page.Limit, len(s.users))], Total: len(s.users)}, nil
}

func (s fixedStore) Create(_ context.Context, input models.UserInput) (models.User, error) {
	return models.User{ID: 1, Name: input.Name, Email: input.Email}, nil
}

func (s fixedStore) Get(_ context.Context, id int64) (models.User, error) { return s.users[id-1], nil }

func (s fixedStore) Update(_ context.Context, id int64, input models.UserInput) (models.User, error) {
	return models.User{ID: id, Name: input.Name, Email: input.Email}, nil
}

func (s fixedStore) Delete(context.Context, int64) error { return nil }

// benchmark measures whole requests, with all that is around the handlers.
func benchmark(b *testing.B, measured Telemetry, method, path, body string, want int) {
	b.Helper()
	store := fixedStore{}
	for id := range int64(maxLimit) {
		store.users = append(store.users, models.User{
			ID: id + 1, Name: "Ada Lovelace", Email: "ada" + strconv.FormatInt(id, 10) + "@example.com",
			CreatedAt: time.Unix(1767225600, 0).UTC(), UpdatedAt: time.Unix(1767225600, 0).UTC(),
		})
	}
	handler := New(store, Build{Version: "1.0.0"}, slog.New(slog.NewJSONHandler(io.Discard, nil)), measured)
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequest(method, path, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		if response.Code != want {
			b.Fatalf("status %d", response.Code)
		}
	}
}

func BenchmarkHealth(b *testing.B) {
	benchmark(b, Telemetry{}, http.MethodGet, "/health", "", http.StatusOK)
}

func BenchmarkListUsers(b *testing.B) {
	benchmark(b, Telemetry{}, http.MethodGet, "/api/users?limit=20", "", http.StatusOK)
}

// BenchmarkListUsersMeasured has what a deployment with monitoring has: metrics, and a tenth of the requests recorded.
func BenchmarkListUsersMeasured(b *testing.B) {
	sampler := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.1))
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	b.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	measured := Telemetry{Metrics: telemetry.NewMetrics("1.0.0", "unknown"), Tracer: provider.Tracer("bench")}
	benchmark(b, measured, http.MethodGet, "/api/users?limit=20", "", http.StatusOK)
}

func BenchmarkGetUser(b *testing.B) {
	benchmark(b, Telemetry{}, http.MethodGet, "/api/users/7", "", http.StatusOK)
}

func BenchmarkCreateUser(b *testing.B) {
	benchmark(b, Telemetry{}, http.MethodPost, "/api/users", `{"name":"Ada","email":"ada@example.com"}`, http.StatusCreated)
}
