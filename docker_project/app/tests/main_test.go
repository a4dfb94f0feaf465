// Package tests speaks to the service as a client does: over HTTP, knowing only what is documented.
package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/slipway/app/src/handlers"
	"example.com/slipway/app/src/models"
)

var (
	ada   = models.UserInput{Name: "Ada Lovelace", Email: "ada@example.com"}
	grace = models.UserInput{Name: "Grace Hopper", Email: "grace@example.com"}
	hedy  = models.UserInput{Name: "Hedy Lamarr", Email: "hedy@example.com"}
)

// service is a running server and the store behind it.
type service struct {
	t     *testing.T
	url   string
	store *memoryStore
	log   *bytes.Buffer
}

func start(t *testing.T, inputs ...models.UserInput) *service {
	t.Helper()
	store, log := newMemoryStore(inputs...), new(bytes.Buffer)
	build := handlers.Build{Version: "1.4.2", Commit: "1a2b3c4", Time: "2026-01-02T03:04:05Z"}
	server := httptest.NewServer(handlers.New(store, build, slog.New(slog.NewJSONHandler(log, nil)), handlers.Telemetry{}))
	t.Cleanup(server.Close)
	return &service{t: t, url: server.URL, store: store, log: log}
}

// answer is a response that has been read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// send sends a JSON body, or none when it is empty.
func (s *service) send(method, path, body string) answer {
	s.t.Helper()
	header := http.Header{}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return s.sendWith(header, method, path, body)
}

func (s *service) sendWith(header http.Header, method, path, body string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{t: s.t, status: response.StatusCode, header: response.Header, body: string(content)}
}

func (a answer) decode(target any) {
	a.t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/json" {
		a.t.Errorf("Content-Type: %q", got)
	}
	if err := json.Unmarshal([]byte(a.body), target); err != nil {
		a.t.Fatalf("%v in %q", err, a.body)
	}
}

// problem is the body of every error.
type problem struct {
	Error struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Fields  map[string]string `json:"fields"`
	} `json:"error"`
}

// refused checks that the answer is an error with the status, the code and exactly the fields.
func (a answer) refused(status int, code string, fields map[string]string) {
	a.t.Helper()
	var got problem
	a.decode(&got)
	if a.status != status || got.Error.Code != code || got.Error.Message == "" || !maps.Equal(got.Error.Fields, fields) {
		a.t.Errorf("got %d %s; want %d, code %s, fields %v", a.status, a.body, status, code, fields)
	}
}

type page struct {
	Users  []models.User `json:"users"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
}

func TestHealthDoesNotDependOnTheDatabase(t *testing.T) {
	s := start(t)
	s.store.breakWith(models.ErrUnavailable)
	got := s.send("GET", "/health", "")
	if got.status != 200 || got.body != `{"status": "healthy", "service": "app"}`+"\n" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestReadyFollowsTheDatabase(t *testing.T) {
	s := start(t)
	if got := s.send("GET", "/ready", ""); got.status != 200 {
		t.Errorf("with a database: got %d %s", got.status, got.body)
	}
	s.store.breakWith(fmt.Errorf("%w: connection refused", models.ErrUnavailable))
	s.send("GET", "/ready", "").refused(503, "database_unavailable", nil)
	s.store.breakWith(errors.New("something unforeseen"))
	s.send("GET", "/ready", "").refused(503, "database_unavailable", nil)
}

func TestVersionSaysWhatIsRunning(t *testing.T) {
	var got map[string]string
	start(t).send("GET", "/version", "").decode(&got)
	want := map[string]string{"version": "1.4.2", "commit": "1a2b3c4", "build_time": "2026-01-02T03:04:05Z"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUserLivesFromCreationToDeletion(t *testing.T) {
	s := start(t, grace)
	created := s.send("POST", "/api/users", `{"name": " Ada Lovelace ", "email": "Ada@Example.com"}`)
	var user models.User
	created.decode(&user)
	if created.status != 201 || user.Name != "Ada Lovelace" || user.Email != "ada@example.com" ||
		time.Since(user.CreatedAt).Abs() > time.Minute {
		t.Fatalf("create: got %d %s", created.status, created.body)
	}
	path := created.header.Get("Location")
	if want := fmt.Sprintf("/api/users/%d", user.ID); path != want {
		t.Fatalf("Location: got %q, want %q", path, want)
	}
	if read := s.send("GET", path, ""); read.status != 200 || read.body != created.body {
		t.Errorf("read: got %d %s, want %s", read.status, read.body, created.body)
	}

	var updated models.User
	s.send("PUT", path, `{"name": "Countess", "email": "ada@example.org"}`).decode(&updated)
	if updated.ID != user.ID || updated.Name != "Countess" || updated.Email != "ada@example.org" ||
		!updated.CreatedAt.Equal(user.CreatedAt) || updated.UpdatedAt.Before(user.UpdatedAt) {
		t.Errorf("update: got %+v", updated)
	}

	if deleted := s.send("DELETE", path, ""); deleted.status != 204 || deleted.body != "" {
		t.Errorf("delete: got %d %q", deleted.status, deleted.body)
	}
	s.send("GET", path, "").refused(404, "user_not_found", nil)
	s.send("PUT", path, `{"name": "Ada", "email": "ada@example.com"}`).refused(404, "user_not_found", nil)
	s.send("DELETE", path, "").refused(404, "user_not_found", nil)
}

func TestListIsPaginated(t *testing.T) {
	s := start(t, ada, grace, hedy)
	tests := map[string]struct {
		query         string
		limit, offset int
		names         []string
	}{
		"defaults":       {"", 20, 0, []string{"Ada Lovelace", "Grace Hopper", "Hedy Lamarr"}},
		"first page":     {"?limit=2", 2, 0, []string{"Ada Lovelace", "Grace Hopper"}},
		"second page":    {"?limit=2&offset=2", 2, 2, []string{"Hedy Lamarr"}},
		"beyond the end": {"?limit=100&offset=3", 100, 3, []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got page
			s.send("GET", "/api/users"+test.query, "").decode(&got)
			names := []string{}
			for _, user := range got.Users {
				names = append(names, user.Name)
			}
			if fmt.Sprint(names) != fmt.Sprint(test.names) || got.Total != 3 || got.Limit != test.limit ||
				got.Offset != test.offset {
				t.Errorf("got %+v, want %+v", got, test)
			}
		})
	}
}

func TestEmptyListIsAnArray(t *testing.T) {
	got := start(t).send("GET", "/api/users", "")
	if want := `{"users":[],"total":0,"limit":20,"offset":0}` + "\n"; got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
}

func TestBadParametersAreRefusedTogether(t *testing.T) {
	const (
		badLimit  = "must be a whole number from 1 to 100"
		badOffset = "must be a whole number from 0 to 2147483647"
		badID     = "must be a positive whole number"
	)
	tests := map[string]map[string]string{
		"/api/users?limit=0":                    {"limit": badLimit},
		"/api/users?limit=101":                  {"limit": badLimit},
		"/api/users?limit=":                     {"limit": badLimit},
		"/api/users?limit=ten&offset=-1":        {"limit": badLimit, "offset": badOffset},
		"/api/users?offset=2147483648":          {"offset": badOffset},
		"/api/users?limit=%zz":                  {"query": "is not encoded properly"},
		"/api/users/0":                          {"id": badID},
		"/api/users/-1":                         {"id": badID},
		"/api/users/ada":                        {"id": badID},
		"/api/users/99999999999999999999999999": {"id": badID},
	}
	s := start(t)
	for path, fields := range tests {
		t.Run(path, func(t *testing.T) {
			s.send("GET", path, "").refused(400, "invalid_parameter", fields)
		})
	}
}

func TestBadBodiesAreRefused(t *testing.T) {
	const required = "is required"
	tests := map[string]struct {
		body   string
		status int
		code   string
		fields map[string]string
	}{
		"not JSON":          {`name=Ada`, 400, "malformed_json", nil},
		"cut off":           {`{"name": "Ada`, 400, "malformed_json", nil},
		"blank":             {` `, 400, "malformed_json", nil},
		"two documents":     {`{"name": "Ada", "email": "ada@example.com"} {}`, 400, "malformed_json", nil},
		"array":             {`[]`, 400, "malformed_json", nil},
		"wrong type":        {`{"name": 7, "email": "ada@example.com"}`, 422, "validation_failed", map[string]string{"name": "must be a string"}},
		"unknown field":     {`{"name": "Ada", "email": "ada@example.com", "role": "admin"}`, 422, "validation_failed", map[string]string{"role": "is unknown"}},
		"id is not theirs":  {`{"id": 7, "name": "Ada", "email": "ada@example.com"}`, 422, "validation_failed", map[string]string{"id": "is unknown"}},
		"all fields absent": {`{}`, 422, "validation_failed", map[string]string{"name": required, "email": required}},
		"null":              {`{"name": null, "email": "ada@example.com"}`, 422, "validation_failed", map[string]string{"name": required}},
		"only space":        {`{"name": "  ", "email": "ada@example.com"}`, 422, "validation_failed", map[string]string{"name": required}},
		"bad address":       {`{"name": "Ada", "email": "ada"}`, 422, "validation_failed", map[string]string{"email": "must be an e-mail address such as ada@example.com"}},
		"too large":         {`{"name": "` + strings.Repeat("a", 64<<10) + `"}`, 413, "body_too_large", nil},
		"too much space":    {`{"name": "Ada", "email": "ada@example.com"}` + strings.Repeat(" ", 64<<10), 413, "body_too_large", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, grace)
			s.send("POST", "/api/users", test.body).refused(test.status, test.code, test.fields)
			s.send("PUT", "/api/users/1", test.body).refused(test.status, test.code, test.fields)
			if list, err := s.store.List(t.Context(), models.Page{Limit: 9}); err != nil || list.Total != 1 || list.Users[0].Name != grace.Name {
				t.Errorf("a refused request changed the users: %+v, %v", list, err)
			}
		})
	}
}

func TestOnlyJSONIsAccepted(t *testing.T) {
	const body = `{"name": "Ada", "email": "ada@example.com"}`
	for contentType, status := range map[string]int{
		"application/json":                  201,
		"application/json; charset=utf-8":   201,
		"Application/JSON":                  201,
		"":                                  415,
		"text/plain":                        415,
		"application/x-www-form-urlencoded": 415,
		"application/json;":                 201,
		"application/;":                     415,
	} {
		t.Run(contentType, func(t *testing.T) {
			header := http.Header{}
			if contentType != "" {
				header.Set("Content-Type", contentType)
			}
			got := start(t).sendWith(header, "POST", "/api/users", body)
			if got.status != status {
				t.Errorf("got %d %s, want %d", got.status, got.body, status)
			}
			if status == 415 {
				got.refused(415, "unsupported_media_type", nil)
			}
		})
	}
}

func TestTakenAddressIsAConflict(t *testing.T) {
	s := start(t, ada, grace)
	taken := map[string]string{"email": "is already in use"}
	s.send("POST", "/api/users", `{"name": "Other", "email": "ADA@example.com"}`).refused(409, "duplicate_email", taken)
	s.send("PUT", "/api/users/2", `{"name": "Grace", "email": "ada@example.com"}`).refused(409, "duplicate_email", taken)
	if got := s.send("PUT", "/api/users/1", `{"name": "Countess", "email": "ada@example.com"}`); got.status != 200 {
		t.Errorf("keeping one's own address: got %d %s", got.status, got.body)
	}
}

func TestOtherMethodsAreRefusedWithThoseAllowed(t *testing.T) {
	s := start(t, ada)
	tests := []struct{ method, path, allow string }{
		{"POST", "/health", "GET, HEAD, OPTIONS"},
		{"DELETE", "/api/users", "GET, HEAD, OPTIONS, POST"},
		{"PATCH", "/api/users/1", "DELETE, GET, HEAD, OPTIONS, PUT"},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			got := s.send(test.method, test.path, "")
			got.refused(405, "method_not_allowed", nil)
			if allow := got.header.Get("Allow"); allow != test.allow {
				t.Errorf("Allow: got %q, want %q", allow, test.allow)
			}
			options := s.send("OPTIONS", test.path, "")
			if options.status != 204 || options.header.Get("Allow") != test.allow {
				t.Errorf("OPTIONS: got %d, Allow %q", options.status, options.header.Get("Allow"))
			}
		})
	}
}

func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	s := start(t, ada)
	head, get := s.send("HEAD", "/api/users/1", ""), s.send("GET", "/api/users/1", "")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
		t.Errorf("got %d %q, %v", head.status, head.body, head.header)
	}
}

func TestOtherAddressesAreNotFound(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/", "/api", "/api/users/", "/api/users/1/friends", "/debug/pprof/"} {
		t.Run(path, func(t *testing.T) {
			s.send("GET", path, "").refused(404, "not_found", nil)
		})
	}
}

func TestFailuresOfTheDatabaseStayInTheLog(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
		code   string
	}{
		"unavailable": {fmt.Errorf("%w: dial 10.0.0.2", models.ErrUnavailable), 503, "database_unavailable"},
		"unforeseen":  {errors.New("relation 10.0.0.2 does not exist"), 500, "internal_error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, ada)
			s.store.breakWith(test.err)
			for _, call := range [][3]string{
				{"GET", "/api/users", ""},
				{"POST", "/api/users", `{"name": "Hedy", "email": "hedy@example.com"}`},
				{"GET", "/api/users/1", ""},
				{"PUT", "/api/users/1", `{"name": "Hedy", "email": "hedy@example.com"}`},
				{"DELETE", "/api/users/1", ""},
			} {
				got := s.send(call[0], call[1], call[2])
				got.refused(test.status, test.code, nil)
				if strings.Contains(got.body, "10.0.0.2") {
					t.Errorf("%s %s tells the client too much: %s", call[0], call[1], got.body)
				}
			}
			if !strings.Contains(s.log.String(), "10.0.0.2") {
				t.Errorf("the log does not tell the cause: %s", s.log)
			}
		})
	}
}

func TestRequestIDJoinsAnswerAndLog(t *testing.T) {
	s := start(t)
	got := s.sendWith(http.Header{"X-Request-Id": {"from-the-proxy"}}, "GET", "/api/users/7", "")
	if id := got.header.Get("X-Request-ID"); id != "from-the-proxy" {
		t.Errorf("got %q", id)
	}
	if !strings.Contains(s.log.String(), `"request_id":"from-the-proxy"`) {
		t.Errorf("not in the log: %s", s.log)
	}
	first, second := s.send("GET", "/", ""), s.send("GET", "/", "")
	if a, b := first.header.Get("X-Request-ID"), second.header.Get("X-Request-ID"); a == "" || a == b {
		t.Errorf("made ids %q and %q", a, b)
	}
}
