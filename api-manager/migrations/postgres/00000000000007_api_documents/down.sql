DROP TABLE api_documents;
