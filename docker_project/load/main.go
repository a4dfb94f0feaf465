// Command load puts load on targets at a fixed rate and prints one JSON document with what it measured.
//
//	load [-rate 50 | -workers 16] [-duration 10s] [-timeout 10s] [-insecure] [-connect-to from=to]… "GET http://host/path"…
//
// It sends at the rate whatever the answers do: a slow target gets more requests at once, not fewer. With -workers it
// finds out what the target can do: each of them asks again as soon as it has its answer. Redirects are not followed,
// so that nothing but the targets is ever asked. Durations in the document are in seconds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	maxWorkers  = 4096
	maxBody     = 1 << 20
)

// settings is what the command line asks for.
type settings struct {
	rate      int
	workers   int // 0: as many as the rate takes
	duration  time.Duration
	timeout   time.Duration
	insecure  bool
	connectTo map[string][]string
	targets   []vegeta.Target
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	asked, err := parse(args, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "load:", err)
		return exitUsage
	}
	summary, err := attack(ctx, asked)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(summary)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "load:", err)
		return exitFailure
	}
	return exitOK
}

func parse(args []string, stderr io.Writer) (settings, error) {
	asked := settings{connectTo: map[string][]string{}}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&asked.rate, "rate", 50, "requests per second")
	flags.IntVar(&asked.workers, "workers", 0, "as many requests as so many at once get answers to, whatever the rate")
	flags.DurationVar(&asked.duration, "duration", 10*time.Second, "how long to send")
	flags.DurationVar(&asked.timeout, "timeout", 10*time.Second, "how long to wait for an answer")
	flags.BoolVar(&asked.insecure, "insecure", false, "do not verify certificates")
	flags.Func("connect-to", "host:port=host:port: connect to the second for the first", func(text string) error {
		from, to, found := strings.Cut(text, "=")
		if !found || from == "" || to == "" {
			return errors.New("expected host:port=host:port")
		}
		asked.connectTo[from] = append(asked.connectTo[from], to)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return asked, err
	}
	for _, text := range flags.Args() {
		method, url, found := strings.Cut(text, " ")
		if !found || method == "" || url == "" {
			return asked, fmt.Errorf("target %q: expected a method and a URL", text)
		}
		asked.targets = append(asked.targets, vegeta.Target{Method: method, URL: url})
	}
	if asked.rate < 1 || asked.duration <= 0 || asked.timeout <= 0 || len(asked.targets) == 0 {
		return asked, errors.New("needs a rate, a duration, a timeout and at least one target")
	}
	if asked.workers < 0 || asked.workers > maxWorkers {
		return asked, fmt.Errorf("workers: expected a number from 1 to %d", maxWorkers)
	}
	return asked, nil
}

// direct keeps the load off a proxy that the environment names: it is no target, and would be what is measured.
func direct(*http.Request) (*url.URL, error) { return nil, nil }

func attack(ctx context.Context, asked settings) (summary, error) {
	rate, workers, limit := asked.rate, vegeta.DefaultWorkers, maxWorkers
	if asked.workers > 0 { // vegeta's rate of 0 is as fast as it goes
		rate, workers, limit = 0, asked.workers, asked.workers
	}
	attacker := vegeta.NewAttacker(
		vegeta.Redirects(vegeta.NoFollow),
		vegeta.Timeout(asked.timeout),
		vegeta.Proxy(direct),
		vegeta.Workers(uint64(workers)),  // #nosec G115 -- neither is negative
		vegeta.MaxWorkers(uint64(limit)), // #nosec G115
		vegeta.MaxBody(maxBody),
		vegeta.ConnectTo(asked.connectTo),
		vegeta.TLSConfig(tlsConfig(asked.insecure)),
	)
	stopped := context.AfterFunc(ctx, func() { attacker.Stop() })
	defer stopped()
	pacer := vegeta.Rate{Freq: rate, Per: time.Second}
	measured := newRecord(rate, asked.duration)
	for result := range attacker.Attack(vegeta.NewStaticTargeter(asked.targets...), pacer, asked.duration, "") {
		measured.add(result)
	}
	if ctx.Err() != nil {
		return summary{}, errors.New("stopped by a signal")
	}
	return measured.summary(), nil
}
