//go:build integration

// Package integration speaks to the whole stack as a client does: over the network, through the proxy, with TLS.
// Each top-level test is a group: it begins with the rows that the stack was seeded with.
package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const requestTimeout = 15 * time.Second

var client *http.Client

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 2
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if flag.Lookup("test.list").Value.String() != "" {
		return m.Run(), nil
	}
	if err := chooseTests(); err != nil {
		return 0, err
	}
	var err error
	if client, err = newClient(os.Getenv("CA_FILE"), os.Getenv("SERVER_NAME")); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if err := openFixtures(ctx); err != nil {
		return 0, err
	}
	defer fixtures.Close()
	return m.Run(), nil
}

// newClient trusts the stack's own certificate and nothing else. It follows no redirect: they are looked at.
func newClient(authority, name string) (*http.Client, error) {
	certificates, err := os.ReadFile(authority) // #nosec G304 -- whoever sets the environment chooses the path.
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s holds no certificate", authority)
	}
	settings := &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}
	return &http.Client{
		Timeout:       requestTimeout,
		Transport:     &http.Transport{Proxy: nil, TLSClientConfig: settings, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// chooseTests turns what Bazel's conventions say of a part of the tests into -test.run, unless that flag was given:
// https://bazel.build/reference/test-encyclopedia#initial-conditions
func chooseTests() error {
	filter, total := os.Getenv("TESTBRIDGE_TEST_ONLY"), os.Getenv("TEST_TOTAL_SHARDS")
	if flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	if total == "" {
		return flag.Set("test.run", filter)
	}
	number, err := strconv.Atoi(os.Getenv("TEST_SHARD_INDEX"))
	if err != nil {
		return fmt.Errorf("TEST_SHARD_INDEX: %w", err)
	}
	parts, err := strconv.Atoi(total)
	if err != nil || parts < 1 || number < 0 || number >= parts {
		return fmt.Errorf("TEST_TOTAL_SHARDS=%s: there is no part %d", total, number)
	}
	group, rest, nested := strings.Cut(filter, "/")
	names, err := groups(group)
	if err != nil {
		return err
	}
	// In turns, in the order of the files: every test is in exactly one part.
	chosen := []string{}
	for i := number; i < len(names); i += parts {
		chosen = append(chosen, regexp.QuoteMeta(names[i]))
	}
	expression := "^(" + strings.Join(chosen, "|") + ")$"
	if len(chosen) == 0 {
		expression = "^$"
	}
	if nested {
		expression += "/" + rest
	}
	return flag.Set("test.run", expression)
}

// groups returns the names of the tests that the expression finds; only a second process can tell.
func groups(expression string) ([]string, error) {
	if expression == "" {
		expression = "."
	}
	// #nosec G204 G702 -- this very program.
	listed, err := exec.Command(os.Args[0], "-test.list="+expression).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list the tests: %w", err)
	}
	return strings.Fields(string(listed)), nil
}

// group gives a top-level test the stack's own rows.
func group(t *testing.T) {
	t.Helper()
	if err := resetFixtures(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// answer is a response that has been read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// send sends a JSON body, or none when it is nil, to an address below BASE_URL.
func send(t *testing.T, method, path string, body any) answer {
	t.Helper()
	header := http.Header{}
	var content []byte
	if body != nil {
		header.Set("Content-Type", "application/json")
		var err error
		if content, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	return sendWith(t, header, method, os.Getenv("BASE_URL")+path, content)
}

func sendWith(t *testing.T, header http.Header, method, url string, body []byte) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{t: t, status: response.StatusCode, header: response.Header, body: string(content)}
}

// want asserts the status and returns the answer.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("got status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// into reads the JSON body.
func (a answer) into(target any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), target); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
}
