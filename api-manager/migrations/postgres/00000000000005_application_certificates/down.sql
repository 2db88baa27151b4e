DROP TABLE application_certificates;
