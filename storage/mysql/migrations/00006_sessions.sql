-- +goose NO TRANSACTION
-- +goose Up
-- An ended session stays until it expires. Times are Unix milliseconds; record is JSON.
CREATE TABLE IF NOT EXISTS wxgate_sessions (
  id VARBINARY(255) NOT NULL PRIMARY KEY,
  user_id BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  ended TINYINT NOT NULL,
  record BLOB NOT NULL,
  KEY of_user (user_id, ended, created_ms, id),
  KEY expires (expires_ms, id)
) ENGINE=InnoDB;
