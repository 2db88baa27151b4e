//! The tables, spelled once for both databases: ids and JSON are text, times are Unix seconds, digests are bytes.
#![allow(missing_docs, reason = "diesel's macro writes items that cannot carry comments")]

diesel::table! {
    revisions (name) {
        name -> Text,
        value -> BigInt,
    }
}

diesel::table! {
    route_changes (revision, kind, id) {
        revision -> BigInt,
        kind -> Text,
        id -> Text,
    }
}

diesel::table! {
    identity_providers (id) {
        id -> Text,
        name -> Text,
        issuer -> Text,
        alias -> Text,
        certificates -> Text,
        jwks_uri -> Nullable<Text>,
        enabled -> Bool,
        algorithms -> Text,
        replay -> Text,
        max_assertion_lifetime -> BigInt,
        scopes -> Nullable<Text>,
        outlive_assertion -> Bool,
        management -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    used_assertions (issuer, replay_key) {
        issuer -> Text,
        replay_key -> Binary,
        expires_at -> BigInt,
        // On SQLite only: see `storage::slots`.
        slot -> BigInt,
    }
}

diesel::table! {
    tiers (name) {
        name -> Text,
        description -> Text,
        requests -> Nullable<BigInt>,
        per_seconds -> Nullable<BigInt>,
        burst -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    apis (id) {
        id -> Text,
        name -> Text,
        context -> Text,
        version -> Text,
        state -> Text,
        owner -> Text,
        definition -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    api_documents (api_id) {
        api_id -> Text,
        document -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    lifecycle_events (id) {
        id -> Text,
        api_id -> Text,
        action -> Text,
        from_state -> Text,
        to_state -> Text,
        actor -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    applications (id) {
        id -> Text,
        owner -> Text,
        name -> Text,
        tier -> Text,
        description -> Text,
        access_token_lifetime -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    application_keys (consumer_key) {
        consumer_key -> Text,
        application_id -> Text,
        key_type -> Text,
        secret_digest -> Binary,
        previous_secret_digest -> Nullable<Binary>,
        previous_secret_until -> Nullable<BigInt>,
        grant_types -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    subscriptions (id) {
        id -> Text,
        application_id -> Text,
        api_id -> Text,
        tier -> Text,
        state -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    grants (id) {
        id -> Text,
        access_digest -> Binary,
        refresh_digest -> Nullable<Binary>,
        consumer_key -> Text,
        application_id -> Text,
        key_type -> Text,
        subject -> Text,
        issuer -> Nullable<Text>,
        identity_provider_id -> Nullable<Text>,
        key_thumbprint -> Nullable<Text>,
        assertion_jti -> Nullable<Text>,
        assertion_digest -> Nullable<Binary>,
        scopes -> Text,
        issued_at -> BigInt,
        expires_at -> BigInt,
        refresh_scopes -> Nullable<Text>,
        refresh_expires_at -> Nullable<BigInt>,
        refresh_line_ends_at -> Nullable<BigInt>,
        refresh_spent_at -> Nullable<BigInt>,
        successor -> Nullable<Text>,
        family -> Text,
        parent -> Nullable<Text>,
        revoked_at -> Nullable<BigInt>,
        // On SQLite only, which computes it: see `storage::slots`.
        slot -> BigInt,
    }
}

diesel::table! {
    deny_rules (id) {
        id -> Text,
        ip -> Nullable<Text>,
        application_id -> Nullable<Text>,
        subject -> Nullable<Text>,
        issuer -> Nullable<Text>,
        api_id -> Nullable<Text>,
        enabled -> Bool,
        reason -> Text,
        expires_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        application_id -> Text,
        name -> Text,
        key_type -> Text,
        digest -> Binary,
        expires_at -> Nullable<BigInt>,
        allowed_ips -> Text,
        allowed_referers -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    application_certificates (id) {
        id -> Text,
        application_id -> Text,
        digest -> Binary,
        subject -> Text,
        key_type -> Text,
        not_before -> BigInt,
        not_after -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    mapped_clients (id) {
        id -> Text,
        application_id -> Text,
        identity_provider_id -> Text,
        client_id -> Text,
        key_type -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    backend_keys (generation) {
        generation -> BigInt,
        sealed_key -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    usage_counts (period, starts_at, api_id, application_id, operation, status) {
        period -> Text,
        starts_at -> BigInt,
        api_id -> Text,
        application_id -> Text,
        operation -> Text,
        status -> BigInt,
        calls -> BigInt,
        errors -> BigInt,
        backend_us -> BigInt,
        gateway_us -> BigInt,
        bytes_in -> BigInt,
        bytes_out -> BigInt,
    }
}

diesel::table! {
    revocations (id) {
        id -> BigInt,
        kind -> Text,
        value -> Text,
        at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    applications,
    application_keys,
    subscriptions,
    apis,
    grants,
    tiers,
    usage_counts
);
