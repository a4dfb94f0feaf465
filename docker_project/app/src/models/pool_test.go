package models

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/slipway/app/src/config"
)

func TestConnectionStringKeepsEveryCharacter(t *testing.T) {
	t.Setenv("PGHOST", "elsewhere")
	t.Setenv("PGPASSWORD", "other")
	database := config.Database{
		Host: "database", Port: 6432, Name: "app's", User: `a\b`, Password: `p' host=evil \ 'x $%`, MaxConns: 3,
	}
	parsed, err := pgx.ParseConfig(connectionString(database))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Host != "database" || parsed.Port != 6432 || parsed.Database != "app's" || parsed.User != `a\b` ||
		parsed.Password != database.Password.Reveal() {
		t.Errorf("got %s:%d/%s as %s", parsed.Host, parsed.Port, parsed.Database, parsed.User)
	}
}

func TestStoreReportsADatabaseThatIsNotThereAndHidesThePassword(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil { // now nothing listens there
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	pool, err := OpenPool(ctx, config.Database{
		Host: "127.0.0.1", Port: port, Name: "app", User: "app", Password: "correct horse", MaxConns: 1,
	}, nil)
	if err != nil {
		t.Fatalf("the pool needs a database to open: %v", err)
	}
	defer pool.Close()
	err = NewStore(pool).Ping(ctx)
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if strings.Contains(err.Error(), "correct horse") {
		t.Errorf("the password is visible: %v", err)
	}
}
