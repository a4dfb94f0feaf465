//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/slipway/app/src/config"
	"example.com/slipway/app/src/models"
)

var fixtures *pgxpool.Pool

// openFixtures keeps the rows that the stack was seeded with; a stack that is used again has them already.
func openFixtures(ctx context.Context) error {
	settings, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	if fixtures, err = models.OpenPool(ctx, settings.Database, nil); err != nil {
		return err
	}
	_, err = fixtures.Exec(ctx, `
		CREATE SCHEMA IF NOT EXISTS fixtures;
		CREATE TABLE IF NOT EXISTS fixtures.users AS TABLE public.users`)
	if err != nil {
		return fmt.Errorf("cannot keep the seeded rows: %w", err)
	}
	return nil
}

// resetFixtures puts the seeded rows back, ids and all, in one transaction.
func resetFixtures(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, fixtures, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			TRUNCATE public.users RESTART IDENTITY;
			INSERT INTO public.users OVERRIDING SYSTEM VALUE TABLE fixtures.users;
			SELECT setval(pg_get_serial_sequence('public.users', 'id'), max(id)) FROM public.users`)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot put the seeded rows back: %w", err)
	}
	return nil
}
