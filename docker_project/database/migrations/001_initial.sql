-- What every table uses.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION set_updated_at() IS 'BEFORE UPDATE trigger for tables with a column updated_at';

-- +goose Down
DROP FUNCTION set_updated_at();
