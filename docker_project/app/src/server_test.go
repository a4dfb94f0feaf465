package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// slowServer answers a request when finish is closed, and reports in started that a request has come.
type slowServer struct {
	url             string
	started, finish chan struct{}
	stop            context.CancelFunc
	stopped         chan error
}

func startSlowServer(t *testing.T, timeout time.Duration) *slowServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := &slowServer{
		url: "http://" + listener.Addr().String(), started: make(chan struct{}), finish: make(chan struct{}),
		stop: stop, stopped: make(chan error, 1),
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(s.started)
		select {
		case <-s.finish:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "finished")
	})
	logger := slog.New(slog.DiscardHandler)
	go func() { s.stopped <- serveUntil(ctx, newServer(handler, logger), listener, timeout, logger) }()
	return s
}

// get sends one request and returns its body, or the error, when it is there.
func (s *slowServer) get() <-chan any {
	result := make(chan any, 1)
	go func() {
		response, err := http.Get(s.url)
		if err != nil {
			result <- err
			return
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			result <- err
			return
		}
		result <- string(body)
	}()
	return result
}

func TestShutdownFinishesTheRequestInFlightAndAcceptsNoOther(t *testing.T) {
	s := startSlowServer(t, 5*time.Second)
	inFlight := s.get()
	<-s.started
	s.stop()
	waitForRefusal(t, s.url)
	select {
	case err := <-s.stopped:
		t.Fatalf("stopped before the request was done: %v", err)
	default:
	}
	close(s.finish)
	if got := <-inFlight; got != "finished" {
		t.Errorf("the request in flight got %v", got)
	}
	if err := <-s.stopped; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestShutdownCutsOffARequestThatTakesTooLong(t *testing.T) {
	s := startSlowServer(t, 50*time.Millisecond)
	inFlight := s.get()
	<-s.started
	s.stop()
	err := <-s.stopped
	if err == nil || err.Error() != "requests still running after 50ms were cut off" {
		t.Errorf("got %v", err)
	}
	if _, failed := (<-inFlight).(error); !failed {
		t.Error("the client got an answer")
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	err = serveUntil(t.Context(), newServer(http.NotFoundHandler(), logger), listener, time.Second, logger)
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

func waitForRefusal(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return
		}
		_ = response.Body.Close()
	}
	t.Fatal("the listener is still open")
}
