// A service that answers as it is told, and counts its requests as OpenTelemetry names them. Only for tests.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var bounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, 1}

// counts are those of one status: how many requests took up to each bound, and all of them.
type counts struct {
	within []int
	all    int
	sum    float64
}

type service struct {
	sync.Mutex
	requests  int
	byStatus  map[int]*counts
	histogram string
}

func number(name string) int {
	value, _ := strconv.Atoi(os.Getenv(name))
	return value
}

// answer waits DELAY milliseconds; of FAIL_OF requests one fails.
func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	began, status := time.Now(), http.StatusOK
	if r.Method == http.MethodPost {
		status = http.StatusCreated
	}
	s.Lock()
	s.requests++
	if every := number("FAIL_OF"); every > 0 && s.requests%every == 0 {
		status = http.StatusInternalServerError
	}
	s.Unlock()
	time.Sleep(time.Duration(number("DELAY")) * time.Millisecond)
	w.WriteHeader(status)
	fmt.Fprintln(w, os.Getenv("VERSION"))
	s.count(status, time.Since(began).Seconds())
}

func (s *service) count(status int, seconds float64) {
	s.Lock()
	defer s.Unlock()
	if s.byStatus[status] == nil {
		s.byStatus[status] = &counts{within: make([]int, len(bounds))}
	}
	counted := s.byStatus[status]
	for i, bound := range bounds {
		if seconds <= bound {
			counted.within[i]++
		}
	}
	counted.all++
	counted.sum += seconds
}

func (s *service) metrics(w http.ResponseWriter, _ *http.Request) {
	s.Lock()
	defer s.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "# TYPE %s histogram\n", s.histogram)
	for status, counted := range s.byStatus {
		labels := fmt.Sprintf(`http_request_method="GET",http_route="/",http_response_status_code="%d"`, status)
		for i, bound := range bounds {
			fmt.Fprintf(&text, "%s_bucket{%s,le=\"%g\"} %d\n", s.histogram, labels, bound, counted.within[i])
		}
		fmt.Fprintf(&text, "%s_bucket{%s,le=\"+Inf\"} %d\n", s.histogram, labels, counted.all)
		fmt.Fprintf(&text, "%s_sum{%s} %g\n%s_count{%s} %d\n", s.histogram, labels, counted.sum, s.histogram, labels, counted.all)
	}
	fmt.Fprint(w, text.String())
}

func main() {
	if len(os.Args) > 1 {
		response, err := http.Get("http://127.0.0.1:8000/health")
		if err != nil || response.StatusCode != http.StatusOK {
			os.Exit(1)
		}
		return
	}
	s := &service{byStatus: map[int]*counts{}, histogram: os.Getenv("HISTOGRAM")}
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/metrics", s.metrics)
	mux.HandleFunc("/", s.answer)
	if err := http.ListenAndServe(":8000", mux); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
