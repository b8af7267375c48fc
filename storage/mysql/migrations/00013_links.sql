-- +goose NO TRANSACTION
-- +goose Up
-- Which account is linked to which, and whether WeChat has given the unionid. Only columns that are missing are added: whoever
-- began this may have been killed, and MySQL knows no ADD COLUMN IF NOT EXISTS.
SET @links = (SELECT CONCAT_WS(', ',
  IF(SUM(COLUMN_NAME = 'unionid_proved') > 0, NULL, 'ADD COLUMN unionid_proved TINYINT NOT NULL DEFAULT 0'),
  IF(SUM(COLUMN_NAME = 'link_state') > 0, NULL, 'ADD COLUMN link_state VARBINARY(16) NOT NULL DEFAULT '''''),
  IF(SUM(COLUMN_NAME = 'linked_to') > 0, NULL, 'ADD COLUMN linked_to BIGINT NOT NULL DEFAULT 0, ADD KEY linked_to (linked_to)'))
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'wxgate_users');
SET @links = IF(@links = '', 'DO 0', CONCAT('ALTER TABLE wxgate_users ', @links));
PREPARE links FROM @links;
EXECUTE links;
DEALLOCATE PREPARE links;
