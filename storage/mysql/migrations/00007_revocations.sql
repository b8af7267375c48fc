-- +goose NO TRANSACTION
-- +goose Up
-- seq is in the order of commits; record is JSON.
CREATE TABLE IF NOT EXISTS wxgate_revocations (
  seq BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  until_ms BIGINT NOT NULL,
  record BLOB NOT NULL,
  KEY ends (until_ms, seq)
) ENGINE=InnoDB;
