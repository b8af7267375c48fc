-- +goose NO TRANSACTION
-- +goose Up
-- Users who asked to be erased, and when they are, in Unix milliseconds.
CREATE TABLE IF NOT EXISTS wxgate_deletions (
  user_id BIGINT NOT NULL PRIMARY KEY,
  at_ms BIGINT NOT NULL
) ENGINE=InnoDB;
