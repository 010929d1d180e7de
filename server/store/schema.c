/* The store's tables: see schema.h. */
#include "store/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Each takes a store from the version that is its index to the next. Never changed once released. */
static const char *const migrations[] = {
    "CREATE TABLE job ("
    " id INTEGER PRIMARY KEY,"
    " epoch INTEGER NOT NULL,"
    " identity TEXT NOT NULL,"
    " key TEXT,"
    " spec BLOB NOT NULL,"
    " asked BLOB NOT NULL," /* the spec as the key's owner knows it */
    " length_bytes INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " reason TEXT NOT NULL,"
    " next_seq INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " ended_ms INTEGER,"
    " mark BLOB,"
    " result BLOB);"
    "CREATE UNIQUE INDEX job_by_key ON job (identity, key) WHERE key IS NOT NULL;"
    "CREATE INDEX job_by_end ON job (ended_ms) WHERE ended_ms IS NOT NULL;"
    "CREATE TABLE event ("
    " job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,"
    " seq INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL,"
    " body BLOB NOT NULL,"
    " PRIMARY KEY (job, seq)) WITHOUT ROWID;"
    "CREATE TABLE ids (next INTEGER NOT NULL);"
    "INSERT INTO ids VALUES (1);",
};

#define VERSION ((int)(sizeof migrations / sizeof *migrations))

int schema_error(sqlite3 *db, int code, const char *what, struct kc_error *err)
{
        const char *words = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
        int number = db ? sqlite3_system_errno(db) : 0;

        if (!what) /* one of the requests */
                what = db ? sqlite3_db_filename(db, "main") : "";

        switch (code & 0xff) {
        case SQLITE_FULL:
                return kc_error_set(
                    err, -ENOSPC, KC_CLASS_NO_SPACE, "job store: %s: no space left; make room there", what);
        case SQLITE_NOMEM:
                return kc_error_set(err, -ENOMEM, KC_CLASS_INTERNAL, "job store: %s: out of memory", what);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return kc_error_set(
                    err, -EBUSY, KC_CLASS_BUSY, "job store: %s: another program has it open; end it", what);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return kc_error_set(err, -EUCLEAN, KC_CLASS_MEDIA,
                    "job store: %s: damaged (%s); move it away and start anew, or bring back a copy", what,
                    words);
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
        case SQLITE_AUTH:
                return kc_error_set(err, -EACCES, KC_CLASS_PERMISSION, "job store: %s: %s", what, words);
        default:
                return kc_error_set(err, -EIO, KC_CLASS_MEDIA, "job store: %s: %s%s%s", what, words,
                    number ? ": " : "", number ? strerror(number) : "");
        }
}

static int exec(sqlite3 *db, const char *sql, const char *what, struct kc_error *err)
{
        int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : schema_error(db, code, what, err);
}

static int version_of(sqlite3 *db, int *ret_version, struct kc_error *err)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret_version = sqlite3_column_int(statement, 0);
        sqlite3_finalize(statement);
        return code == SQLITE_ROW ? 0 : schema_error(db, code, "read", err);
}

static int migrate(sqlite3 *db, struct kc_error *err)
{
        int version = 0, r = version_of(db, &version, err);
        char sql[64];

        if (r < 0)
                return r;
        if (version > VERSION)
                return kc_error_set(err, -EPROTONOSUPPORT, KC_CLASS_UNSUPPORTED,
                    "job store: a newer kcopyd made it (version %d, this one knows %d); start that one",
                    version, VERSION);
        if (version == VERSION)
                return 0;
        r = exec(db, "BEGIN IMMEDIATE", "bring it to this version", err);
        for (int at = version; at < VERSION && r == 0; at++)
                r = exec(db, migrations[at], "bring it to this version", err);
        snprintf(sql, sizeof sql, "PRAGMA user_version = %d", VERSION);
        if (r == 0)
                r = exec(db, sql, "bring it to this version", err);
        if (r == 0)
                r = exec(db, "COMMIT", "bring it to this version", err);
        if (r < 0)
                (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

/* locking_mode before anything else: in exclusive mode a WAL needs no shared memory. FULL: a commit that was
 * answered outlives the power. */
static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA journal_size_limit = 4194304;";

int schema_open(const char *path, bool create, sqlite3 **ret_db, struct kc_error *err)
{
        sqlite3 *db = NULL;
        int r, code = sqlite3_open_v2(path, &db,
                   SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX, NULL);

        if (code != SQLITE_OK) {
                r = schema_error(db, code, path, err);
                (void)sqlite3_close(db);
                return r;
        }
        (void)sqlite3_extended_result_codes(db, 1);
        r = exec(db, settings, "open", err);
        if (r == 0)
                r = migrate(db, err);
        if (r < 0) {
                (void)sqlite3_close(db);
                return r;
        }
        *ret_db = db;
        return 0;
}
