-- +goose NO TRANSACTION
-- +goose Up
-- One row for each opening by a process that issued tokens.
CREATE TABLE IF NOT EXISTS wxgate_epochs (
  id VARBINARY(64) NOT NULL PRIMARY KEY,
  latest_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  KEY latest (latest_ms),
  KEY expires (expires_ms, id)
) ENGINE=InnoDB;
