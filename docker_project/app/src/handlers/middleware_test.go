package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// logged decodes a log of JSON lines.
func logged(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestRequestIDIsKeptWhenSaneAndReplacedOtherwise(t *testing.T) {
	tests := map[string]struct {
		sent string
		kept bool
	}{
		"UUID":          {"7b1d0a52-0e3c-4d0e-9a57-2f6f1f7a6c11", true},
		"trace":         {"a:b.c_d-1", true},
		"longest":       {strings.Repeat("a", 128), true},
		"too long":      {strings.Repeat("a", 129), false},
		"absent":        {"", false},
		"space":         {"a b", false},
		"quote":         {`a"b`, false},
		"other letters": {"é", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var seen string
			handler := withRequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen = requestID(r.Context())
			}))
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header.Set("X-Request-ID", test.sent)
			response := httptest.NewRecorder()
			handler.ServeHTTP(response, request)
			if echoed := response.Header().Get("X-Request-ID"); echoed != seen {
				t.Errorf("the response says %q, the handler saw %q", echoed, seen)
			}
			if (seen == test.sent) != test.kept || !isSane(seen) {
				t.Errorf("sent %q, used %q", test.sent, seen)
			}
		})
	}
}

func TestAccessLogHasALineForEachRequest(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	handler := withRequestID(withAccessLog(logger, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("short"))
	})))
	request := httptest.NewRequest(http.MethodPost, "/pot?secret=1", nil)
	request.Header.Set("X-Request-ID", "abc")
	handler.ServeHTTP(httptest.NewRecorder(), request)

	lines := logged(t, &log)
	if len(lines) != 1 {
		t.Fatalf("got %d lines", len(lines))
	}
	want := map[string]any{
		"level": "INFO", "msg": "request", "request_id": "abc", "method": "POST", "path": "/pot", "status": 418.0,
		"bytes": 5.0, "remote": "192.0.2.1:1234",
	}
	for key, value := range want {
		if lines[0][key] != value {
			t.Errorf("%s: got %v, want %v", key, lines[0][key], value)
		}
	}
}

func TestAccessLevel(t *testing.T) {
	tests := []struct {
		path   string
		status int
		want   slog.Level
	}{
		{"/api/users", 200, slog.LevelInfo},
		{"/api/users", 404, slog.LevelInfo},
		{"/api/users", 500, slog.LevelError},
		{"/health", 200, slog.LevelDebug},
		{"/ready", 503, slog.LevelError},
	}
	for _, test := range tests {
		if got := accessLevel(test.path, test.status); got != test.want {
			t.Errorf("%s %d: got %s, want %s", test.path, test.status, got, test.want)
		}
	}
}

func TestPanicBecomesAnAnswerAndALogLine(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	a := &api{logger: logger}
	handler := withRequestID(withAccessLog(logger, a.withRecovery(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { panic("index out of range") }))))
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/", nil))

	if response.Code != http.StatusInternalServerError || strings.Contains(response.Body.String(), "index") {
		t.Errorf("got %d %s", response.Code, response.Body)
	}
	if first := logged(t, &log)[0]; first["msg"] != "panic" || !strings.Contains(first["stack"].(string), "middleware_test") {
		t.Errorf("logged %v", first)
	}
}

func TestPanicInTheMiddleOfAnAnswerDropsTheConnection(t *testing.T) {
	a := &api{logger: slog.New(slog.DiscardHandler)}
	server := httptest.NewServer(withAccessLog(a.logger, a.withRecovery(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			panic("too late")
		}))))
	defer server.Close()
	if response, err := http.Get(server.URL); err == nil {
		_ = response.Body.Close()
		t.Errorf("got %s", response.Status)
	}
}

func TestTimeoutReachesTheHandler(t *testing.T) {
	handler := withTimeout(time.Millisecond, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		if err := r.Context().Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
