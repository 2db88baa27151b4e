-- Names with ẞ had a key with ß, where all others have ss. Where two names would have one key, both keep theirs.
UPDATE users SET user_name_key = replace(user_name_key, 'ß', 'ss')
    WHERE user_name_key LIKE '%ß%' AND NOT EXISTS (
        SELECT 1 FROM users AS others
        WHERE others.id <> users.id AND replace(others.user_name_key, 'ß', 'ss') = replace(users.user_name_key, 'ß', 'ss')
    );
