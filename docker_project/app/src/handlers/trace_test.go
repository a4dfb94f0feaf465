package handlers

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

const (
	someTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	someSpan  = "00f067aa0ba902b7"
	someFlags = "-01"
)

func TestTraceIsTakenFromAGoodHeaderOnly(t *testing.T) {
	good := "00-" + someTrace + "-" + someSpan + someFlags
	tests := map[string]struct {
		headers []string
		want    bool
	}{
		"sampled":                      {[]string{good}, true},
		"not sampled":                  {[]string{"00-" + someTrace + "-" + someSpan + "-00"}, true},
		"later format":                 {[]string{"cc-" + someTrace + "-" + someSpan + someFlags + "-what-comes"}, true},
		"later format, cut wrongly":    {[]string{"cc-" + someTrace + "-" + someSpan + someFlags + "x"}, false},
		"absent":                       {nil, false},
		"twice":                        {[]string{good, good}, false},
		"longer than its format":       {[]string{good + "-more"}, false},
		"too short":                    {[]string{good[1:]}, false},
		"no format":                    {[]string{"ff" + good[2:]}, false},
		"capital letters":              {[]string{"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + someSpan + someFlags}, false},
		"no trace":                     {[]string{"00-00000000000000000000000000000000-" + someSpan + someFlags}, false},
		"no span":                      {[]string{"00-" + someTrace + "-0000000000000000" + someFlags}, false},
		"a dash within a field":        {[]string{"00-4bf92f3577b34da6a3ce929d0e0e47-6-" + someSpan + someFlags}, false},
		"what would be bad in the log": {[]string{`00-4bf92f3577b34da6a3ce929d0e0e47"6-` + someSpan + someFlags}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			logger := slog.New(traceLog{slog.NewJSONHandler(&log, nil)}).With("with", "attributes")
			handler := withTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				logger.InfoContext(r.Context(), "seen")
			}))
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			for _, header := range test.headers {
				request.Header.Add("traceparent", header)
			}
			handler.ServeHTTP(httptest.NewRecorder(), request)
			line := logged(t, &log)[0]
			if (line["trace_id"] == someTrace && line["span_id"] == someSpan) != test.want {
				t.Errorf("logged %v", line)
			}
			if _, there := line["trace_id"]; there != test.want {
				t.Errorf("logged %v", line)
			}
		})
	}
}

func TestEveryLineOfARequestHasItsTrace(t *testing.T) {
	var log bytes.Buffer
	a := &api{logger: slog.New(traceLog{slog.NewJSONHandler(&log, nil)})}
	failing := a.handler(func(http.ResponseWriter, *http.Request) error { return errors.New("disk full") })
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("traceparent", "00-"+someTrace+"-"+someSpan+someFlags)
	withTrace(withRequestID(withAccessLog(a.logger, failing))).ServeHTTP(httptest.NewRecorder(), request)

	lines := logged(t, &log)
	if len(lines) != 2 {
		t.Fatalf("got %d lines", len(lines))
	}
	for _, line := range lines {
		if line["trace_id"] != someTrace || line["span_id"] != someSpan {
			t.Errorf("logged %v", line)
		}
	}
}

func TestALineOfAGroupHasItsTrace(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(traceLog{slog.NewJSONHandler(&log, nil)}).WithGroup("job")
	handler := withTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "seen")
	}))
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("traceparent", "00-"+someTrace+"-"+someSpan+someFlags)
	handler.ServeHTTP(httptest.NewRecorder(), request)
	if group, _ := logged(t, &log)[0]["job"].(map[string]any); group["trace_id"] != someTrace {
		t.Errorf("logged %s", &log)
	}
}
