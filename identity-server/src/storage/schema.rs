//! The tables, written once for both databases: BIGINT reads SQLite's INTEGER, `Bool` its 0 and 1.
#![allow(missing_docs, reason = "diesel's macro writes items that cannot carry comments")]

diesel::table! {
    clients (client_id) {
        client_id -> Text,
        client_name -> Text,
        secret_digest -> Binary,
        previous_secret_digest -> Nullable<Binary>,
        previous_secret_until -> Nullable<BigInt>,
        auth_method -> Text,
        grant_types -> Text,
        scope -> Text,
        redirect_uris -> Text,
        contacts -> Text,
        client_uri -> Nullable<Text>,
        audiences -> Text,
        access_token_lifetime -> BigInt,
        refresh_token_lifetime -> BigInt,
        multi_valued_claims -> Text,
        signing_algorithm -> Text,
        enabled -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        user_name -> Text,
        user_name_key -> Text,
        password_hash -> Nullable<Text>,
        active -> Bool,
        profile -> Text,
        sessions_ended_at -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        revision -> BigInt,
    }
}

diesel::table! {
    sign_in_failures (name_digest) {
        name_digest -> Binary,
        failures -> BigInt,
        locked_until -> BigInt,
        last_failure_at -> BigInt,
    }
}

diesel::table! {
    refresh_families (id) {
        id -> Text,
        client_id -> Text,
        user_id -> Text,
        scope -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        uses -> BigInt,
    }
}

diesel::table! {
    refresh_tokens (digest) {
        digest -> Binary,
        family_id -> Text,
        scope -> Text,
        issued_at -> BigInt,
        expires_at -> BigInt,
        spent_at -> Nullable<BigInt>,
        successor -> Nullable<Binary>,
        access_jti -> Text,
    }
}

diesel::table! {
    revoked_tokens (jti) {
        jti -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        kind -> Text,
        generation -> BigInt,
        certificate -> Text,
        sealed_key -> Binary,
        created_at -> BigInt,
        signs_from -> BigInt,
        retires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    signing_algorithms (algorithm) {
        algorithm -> Text,
        added_at -> BigInt,
    }
}

diesel::table! {
    revisions (name) {
        name -> Text,
        revision -> BigInt,
    }
}

diesel::joinable!(refresh_tokens -> refresh_families (family_id));
diesel::allow_tables_to_appear_in_same_query!(refresh_tokens, refresh_families, clients, users);
