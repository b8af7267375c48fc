-- +goose NO TRANSACTION
-- +goose Up
-- What is said once of a data set: its id, the check of its key, the horizon.
CREATE TABLE IF NOT EXISTS wxgate_meta (
  name VARBINARY(64) NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) ENGINE=InnoDB;
