-- +goose NO TRANSACTION
-- +goose Up
-- Values that end, such as leases, by the clock of the server. Times are Unix milliseconds.
CREATE TABLE IF NOT EXISTS wxgate_temporary (
  name VARBINARY(255) NOT NULL PRIMARY KEY,
  value BLOB NOT NULL,
  until_ms BIGINT NOT NULL,
  KEY ends (until_ms, name)
) ENGINE=InnoDB;
