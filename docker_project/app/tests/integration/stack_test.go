//go:build integration

package integration

import (
	"net/http"
	"os"
	"testing"
)

func TestStackIsReady(t *testing.T) {
	group(t)
	for path, status := range map[string]string{"/health": "healthy", "/ready": "ready"} {
		t.Run(path, func(t *testing.T) {
			var found struct{ Status, Service string }
			send(t, http.MethodGet, path, nil).want(http.StatusOK).into(&found)
			if found.Status != status || found.Service != "app" {
				t.Errorf("got %+v", found)
			}
		})
	}
}

func TestVersionIsThatOfABuild(t *testing.T) {
	group(t)
	var found struct{ Version, Commit string }
	send(t, http.MethodGet, "/version", nil).want(http.StatusOK).into(&found)
	if found.Version == "" || found.Commit == "" {
		t.Errorf("got %+v", found)
	}
}

func TestPlainRequestsAreSentToTheSecurePort(t *testing.T) {
	group(t)
	got := sendWith(t, http.Header{}, http.MethodPost, os.Getenv("PLAIN_URL")+"/api/users?limit=1", nil)
	got.want(http.StatusPermanentRedirect)
	if location := got.header.Get("Location"); location[:8] != "https://" {
		t.Errorf("Location: got %q", location)
	}
}

func TestProxyMarksEveryAnswer(t *testing.T) {
	group(t)
	header := http.Header{"X-Request-Id": {"integration-1"}}
	got := sendWith(t, header, http.MethodGet, os.Getenv("BASE_URL")+"/api/users", nil).want(http.StatusOK)
	if id := got.header.Get("X-Request-ID"); id != "integration-1" {
		t.Errorf("X-Request-ID: got %q", id)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s: got %q, want %q", name, value, want)
		}
	}
}

func TestOtherAddressesAreNotThere(t *testing.T) {
	group(t)
	var found problem
	send(t, http.MethodGet, "/elsewhere", nil).want(http.StatusNotFound).into(&found)
	if found.Error.Code != "not_found" {
		t.Errorf("got %+v", found.Error)
	}
}
