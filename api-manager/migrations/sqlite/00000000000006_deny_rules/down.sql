DROP TABLE deny_rules;
