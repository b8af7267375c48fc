-- +goose NO TRANSACTION
-- +goose Up
-- What a service must still be told about a user, as JSON.
CREATE TABLE IF NOT EXISTS wxgate_events (
  user_id BIGINT NOT NULL PRIMARY KEY,
  waiting BLOB NOT NULL
) ENGINE=InnoDB;
