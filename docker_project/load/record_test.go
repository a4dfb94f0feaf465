package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Go reads the environment once, at the first request of all: this test is the first.
func TestNoProxyOfTheEnvironmentGetsTheLoad(t *testing.T) {
	asked := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer proxy.Close()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)

	var stdout, stderr bytes.Buffer
	way := "shop.example:80=" + strings.TrimPrefix(server.URL, "http://")
	args := []string{"-rate", "10", "-duration", "300ms", "-connect-to", way, "GET http://shop.example/"}
	if code := run(t.Context(), args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var got summary
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if asked != 0 || got.Requests == 0 || got.Failures != 0 {
		t.Errorf("the proxy got %d requests; %+v", asked, got)
	}
}

func TestWorkersAskAgainAsSoonAsTheyHaveTheirAnswer(t *testing.T) {
	var atOnce, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		now := atOnce.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		time.Sleep(10 * time.Millisecond)
		atOnce.Add(-1)
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	args := []string{"-workers", "3", "-rate", "1", "-duration", "500ms", "GET " + server.URL}
	if code := run(t.Context(), args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var got summary
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Requests < 15 || got.Failures != 0 || most.Load() != 3 { // 150 where nothing else runs
		t.Errorf("%d requests, %d failures, %d at once", got.Requests, got.Failures, most.Load())
	}
}

func TestTooManyWorkersAreRefused(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-workers", "5000", "GET http://127.0.0.1:1/"}, &stdout, &stderr)
	if code != exitUsage || stderr.String() != "load: workers: expected a number from 1 to 4096\n" {
		t.Errorf("exit %d: %q", code, &stderr)
	}
}

func TestPercentilesAreTheNearestRank(t *testing.T) {
	var times []time.Duration
	for ms := 100; ms >= 1; ms-- {
		times = append(times, time.Duration(ms)*time.Millisecond)
	}
	got := measure(times)
	want := latencies{Mean: 0.0505, P50: 0.050, P95: 0.095, P99: 0.099, Max: 0.1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestARunCountsWhatFailedAndFollowsNoRedirect(t *testing.T) {
	asked := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/never", 302) })
	mux.HandleFunc("/never", func(http.ResponseWriter, *http.Request) { asked++ })
	server := httptest.NewServer(mux)
	defer server.Close()

	var stdout, stderr bytes.Buffer
	args := []string{"-rate", "20", "-duration", "500ms", "GET " + server.URL + "/broken", "GET " + server.URL + "/moved"}
	if code := run(t.Context(), args, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var got summary
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Asked != 10 || got.Requests < 9 || got.Failures != got.Codes["502"] || got.Codes["302"] == 0 || asked != 0 {
		t.Errorf("got %+v, followed %d", got, asked)
	}
}

func TestWhatIsNoTargetIsRefused(t *testing.T) {
	for _, args := range [][]string{{}, {"http://host/"}, {"-rate", "0", "GET http://host/"}, {"-connect-to", "x"}} {
		if code := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); code != exitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
