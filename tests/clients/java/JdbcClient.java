import java.math.BigDecimal;
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;

/**
 * pgjdbc: the extended protocol only, BEGIN in front of the first statement, named statements with binary results from
 * the fifth execution on, batches, fetch sizes, and DatabaseMetaData.
 *
 * Prints one line for each case, fields separated by tabs: ok CASE, or failed CASE REASON. The server is named by the
 * environment variables of libpq.
 */
public class JdbcClient {
    interface Case {
        void run(Connection c) throws Exception;
    }

    static final String URL = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
        + System.getenv("PGDATABASE") + "?user=" + System.getenv("PGUSER");
    static boolean failed = false;

    static void equal(Object found, Object expected) {
        if (!Objects.deepEquals(found, expected)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }

    static PSQLException raises(String sqlState, Case work, Connection c) throws Exception {
        try {
            work.run(c);
        } catch (SQLException error) {
            SQLException last = error;
            while (!(last instanceof PSQLException) && last.getNextException() != null) {
                last = last.getNextException();
            }
            equal(last.getSQLState(), sqlState);
            return (PSQLException) last;
        }
        throw new AssertionError("expected SQLSTATE " + sqlState + ", found no error");
    }

    static void check(String name, Case work) {
        try (Connection c = DriverManager.getConnection(URL)) {
            work.run(c);
            System.out.println("ok\t" + name);
        } catch (Throwable error) {
            failed = true;
            int line = Arrays.stream(error.getStackTrace())
                .filter(frame -> frame.getClassName().startsWith("JdbcClient"))
                .filter(frame -> !frame.getMethodName().equals("equal") && !frame.getMethodName().equals("raises"))
                .mapToInt(StackTraceElement::getLineNumber).findFirst().orElse(0);
            String reason = ("line " + line + ": " + error).replaceAll("\\s+", " ");
            System.out.println("failed\t" + name + "\t" + reason);
        }
    }

    static void update(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.executeUpdate(sql);
        }
    }

    static List<String> rows(ResultSet r, String... columns) throws SQLException {
        List<String> found = new ArrayList<>();
        while (r.next()) {
            StringJoiner row = new StringJoiner("|");
            for (String column : columns) row.add(r.getString(column));
            found.add(row.toString());
        }
        return found;
    }

    static String one(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }

    static void values(Connection c) throws Exception {
        Object[][] values = {
            {"bool", true}, {"int4", Integer.MIN_VALUE}, {"int8", Long.MAX_VALUE}, {"float8", 0.1}, {"float4", 0.5f},
            {"numeric", new BigDecimal("-1234567890123456789.0100")}, {"text", "é 🙂 ' \\ \n"}, {"varchar", ""},
            {"uuid", UUID.fromString("00000000-0000-4000-8000-0123456789ab")}, {"date", java.sql.Date.valueOf("2024-02-29")},
            {"timestamp", Timestamp.valueOf("2024-02-29 23:59:59.123456")}, {"bytea", new byte[] {0, -1, 92}},
        };
        for (Object[] value : values) {
            try (PreparedStatement s = c.prepareStatement("SELECT ?::" + value[0] + ", NULL::" + value[0])) {
                for (int use = 0; use < 7; use++) {
                    s.setObject(1, value[1]);
                    ResultSet r = s.executeQuery();
                    r.next();
                    equal(r.getObject(1), value[1]);
                    equal(r.getObject(2), null);
                    equal(r.wasNull(), true);
                }
            }
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::timestamptz, ?::time, ?::int4[], ?::text[], ?::jsonb")) {
            OffsetDateTime at = OffsetDateTime.of(2024, 6, 30, 12, 0, 0, 5000, ZoneOffset.UTC);
            for (int use = 0; use < 7; use++) {
                s.setObject(1, at);
                s.setObject(2, LocalTime.of(23, 59, 59, 999999000));
                s.setArray(3, c.createArrayOf("int4", new Object[] {1, null, 3}));
                s.setArray(4, c.createArrayOf("text", new Object[] {"a,b", "q\"", null}));
                s.setString(5, "{\"a\": [1, null]}");
                ResultSet r = s.executeQuery();
                r.next();
                equal(r.getObject(1, OffsetDateTime.class), at);
                equal(r.getObject(2, LocalTime.class), LocalTime.of(23, 59, 59, 999999000));
                equal(r.getArray(3).getArray(), new Integer[] {1, null, 3});
                equal(r.getArray(4).getArray(), new String[] {"a,b", "q\"", null});
                equal(r.getString(5), "{\"a\": [1, null]}");
            }
        }
    }

    static void results(Connection c) throws Exception {
        update(c, "CREATE TABLE item (id serial PRIMARY KEY, name varchar(20) NOT NULL, price numeric(8,2), at timestamptz)");
        try (PreparedStatement s = c.prepareStatement("INSERT INTO item (name, price) VALUES (?, ?)",
                Statement.RETURN_GENERATED_KEYS)) {
            s.setString(1, "first");
            s.setBigDecimal(2, new BigDecimal("1.5"));
            equal(s.executeUpdate(), 1);
            ResultSet keys = s.getGeneratedKeys();
            keys.next();
            equal(keys.getInt("id"), 1);
            for (int n = 0; n < 50; n++) {
                s.setString(1, "batch " + n);
                s.setBigDecimal(2, BigDecimal.valueOf(n));
                s.addBatch();
            }
            int[] counts = s.executeBatch();
            equal(Arrays.stream(counts).sum(), 50);
        }
        try (Statement s = c.createStatement()) {
            equal(s.execute("UPDATE item SET price = 0 WHERE id < 4; SELECT count(*) FROM item; DELETE FROM item WHERE id = 1"), false);
            equal(s.getUpdateCount(), 3);
            equal(s.getMoreResults(), true);
            equal(rows(s.getResultSet(), "count"), List.of("51"));
            equal(s.getMoreResults(), false);
            equal(s.getUpdateCount(), 1);
            equal(s.executeUpdate("CREATE TABLE nothing (a int)"), 0);
            ResultSetMetaData m = s.executeQuery("SELECT id, name, price, price * 2 AS twice, at FROM item").getMetaData();
            equal(List.of(m.getColumnTypeName(1), m.getColumnTypeName(2), m.getColumnTypeName(3), m.getColumnTypeName(5)),
                List.of("serial", "varchar", "numeric", "timestamptz"));
            equal(List.of(m.getPrecision(2), m.getPrecision(3), m.getScale(3), m.getColumnLabel(4), m.getTableName(2)),
                List.of(20, 8, 2, "twice", "item"));
            equal(List.of(m.isNullable(2), m.isAutoIncrement(1)), List.of(ResultSetMetaData.columnNoNulls, true));
        }
    }

    static void errors(Connection c) throws Exception {
        update(c, "CREATE TABLE strict (id int PRIMARY KEY, v int NOT NULL CONSTRAINT positive CHECK (v > 0))");
        update(c, "INSERT INTO strict VALUES (1, 1)");
        var fields = raises("23505", it -> update(it, "INSERT INTO strict VALUES (1, 1)"), c).getServerErrorMessage();
        equal(List.of(fields.getConstraint(), fields.getTable(), fields.getSchema(), fields.getDetail(), fields.getSeverity()),
            List.of("strict_pkey", "strict", "public", "Key (id)=(1) already exists.", "ERROR"));
        equal(raises("23502", it -> update(it, "INSERT INTO strict VALUES (2)"), c).getServerErrorMessage().getColumn(), "v");
        raises("23514", it -> update(it, "INSERT INTO strict VALUES (2, 0)"), c);
        equal(raises("42P01", it -> one(it, "SELECT * FROM nosuch"), c).getServerErrorMessage().getPosition(), 15);
        raises("42703", it -> one(it, "SELECT nosuch FROM strict"), c);
        raises("22012", it -> one(it, "SELECT 1/0"), c);
        raises("23505", it -> {
            try (Statement s = it.createStatement()) {
                s.addBatch("INSERT INTO strict VALUES (5, 5)");
                s.addBatch("INSERT INTO strict VALUES (1, 5)");
                s.executeBatch();
            }
        }, c);
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE IF EXISTS nosuch");
            equal(s.getWarnings().getMessage(), "table \"nosuch\" does not exist, skipping");
        }
    }

    static void transactions(Connection c) throws Exception {
        update(c, "CREATE TABLE tx (id int PRIMARY KEY)");
        c.setAutoCommit(false);
        update(c, "INSERT INTO tx VALUES (1)");
        Savepoint point = c.setSavepoint("here");
        raises("23505", it -> update(it, "INSERT INTO tx VALUES (1)"), c);
        raises("25P02", it -> one(it, "SELECT 1"), c);
        c.rollback(point);
        update(c, "INSERT INTO tx VALUES (2)");
        c.releaseSavepoint(point);
        c.commit();
        update(c, "INSERT INTO tx VALUES (3)");
        c.rollback();
        equal(one(c, "SELECT string_agg(id::text, ',' ORDER BY id) FROM tx"), "1,2");
        c.commit();
        c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        equal(one(c, "SHOW transaction_isolation"), "repeatable read");
        c.commit();
        c.setReadOnly(true);
        raises("25006", it -> update(it, "DELETE FROM tx"), c);
        c.rollback();
    }

    static void fetching(Connection c) throws Exception {
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("SELECT g, repeat('x', 100) FROM generate_series(1, ?) g")) {
            s.setFetchSize(10);
            s.setInt(1, 95);
            ResultSet r = s.executeQuery();
            int sum = 0;
            while (r.next()) sum += r.getInt(1);
            equal(sum, 95 * 96 / 2);
            s.setMaxRows(7);
            s.setInt(1, 100);
            r = s.executeQuery();
            int count = 0;
            while (r.next()) count++;
            equal(count, 7);
        }
        c.commit();
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet r = s.executeQuery("SELECT g FROM generate_series(1, 5) g");
            r.last();
            equal(r.getInt(1), 5);
            r.absolute(2);
            equal(r.getInt(1), 2);
        }
    }

    static void updatable(Connection c) throws Exception {
        update(c, "CREATE TABLE edited (id int PRIMARY KEY, t text)");
        update(c, "INSERT INTO edited VALUES (1, 'a'), (2, 'b')");
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet r = s.executeQuery("SELECT id, t FROM edited ORDER BY id");
            r.next();
            r.updateString("t", "changed");
            r.updateRow();
            r.moveToInsertRow();
            r.updateInt("id", 3);
            r.updateString("t", "new");
            r.insertRow();
        }
        equal(one(c, "SELECT string_agg(t, ',' ORDER BY id) FROM edited"), "changed,b,new");
    }

    static void copying(Connection c) throws Exception {
        update(c, "CREATE TABLE copied (id int PRIMARY KEY, t text)");
        CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
        equal(copy.copyIn("COPY copied FROM STDIN", new StringReader("1\ta\n2\t\\N\n")), 2L);
        StringWriter out = new StringWriter();
        equal(copy.copyOut("COPY copied TO STDOUT WITH CSV HEADER", out), 2L);
        equal(out.toString(), "id,t\n1,a\n2,\n");
        raises("22P02", it -> copy.copyIn("COPY copied FROM STDIN", new StringReader("x\ty\n")), c);
        equal(c.isValid(5), true);
    }

    static void notifications(Connection c) throws Exception {
        update(c, "LISTEN news");
        try (Connection sender = DriverManager.getConnection(URL)) {
            one(sender, "SELECT pg_notify('news', 'hello')");
            var found = c.unwrap(PGConnection.class).getNotifications(30_000);
            equal(List.of(found[0].getName(), found[0].getParameter(), found[0].getPID()),
                List.of("news", "hello", sender.unwrap(PGConnection.class).getBackendPID()));
        }
    }

    static void cancelling(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            raises("57014", it -> s.execute("SELECT pg_sleep(60)"), c);
            equal(one(c, "SELECT 1"), "1");
        }
    }

    static void metadata(Connection c) throws Exception {
        update(c, "CREATE TABLE owner (a int, b text, PRIMARY KEY (a, b))");
        update(c, "CREATE TABLE owned (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, oa int NOT NULL, ob text DEFAULT 'x', "
            + "n numeric(9,3), tags text[], CONSTRAINT owned_owner FOREIGN KEY (oa, ob) REFERENCES owner ON DELETE CASCADE)");
        update(c, "CREATE UNIQUE INDEX owned_n ON owned (n DESC, oa)");
        update(c, "CREATE VIEW shown AS SELECT id FROM owned");
        update(c, "COMMENT ON TABLE owned IS 'is owned'");
        DatabaseMetaData m = c.getMetaData();
        equal(m.getDatabaseProductName(), "PostgreSQL");
        equal(m.getDatabaseMajorVersion(), 15);
        equal(rows(m.getTables(null, "public", "ow%", new String[] {"TABLE"}), "TABLE_NAME", "REMARKS"),
            List.of("owned|is owned", "owner|null"));
        equal(rows(m.getTables(null, "public", "shown", null), "TABLE_TYPE"), List.of("VIEW"));
        equal(rows(m.getColumns(null, null, "owned", "%"), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "NULLABLE", "COLUMN_DEF",
                "IS_AUTOINCREMENT"),
            List.of("id|int8|19|0|null|YES", "oa|int4|10|0|null|NO", "ob|text|2147483647|1|'x'::text|NO",
                "n|numeric|9|1|null|NO", "tags|_text|2147483647|1|null|NO"));
        equal(rows(m.getPrimaryKeys(null, null, "owner"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"),
            List.of("a|1|owner_pkey", "b|2|owner_pkey"));
        equal(rows(m.getImportedKeys(null, null, "owned"), "FKCOLUMN_NAME", "PKTABLE_NAME", "PKCOLUMN_NAME", "FK_NAME", "DELETE_RULE"),
            List.of("oa|owner|a|owned_owner|0", "ob|owner|b|owned_owner|0"));
        equal(rows(m.getExportedKeys(null, null, "owner"), "FKTABLE_NAME"), List.of("owned", "owned"));
        equal(rows(m.getIndexInfo(null, null, "owned", true, true), "INDEX_NAME", "COLUMN_NAME", "ASC_OR_DESC", "NON_UNIQUE"),
            List.of("owned_n|n|D|f", "owned_n|oa|A|f", "owned_pkey|id|A|f"));
        equal(rows(m.getBestRowIdentifier(null, null, "owner", 0, true), "COLUMN_NAME"), List.of("a", "b"));
        equal(rows(m.getSchemas(), "TABLE_SCHEM").contains("public"), true);
        equal(rows(m.getTypeInfo(), "TYPE_NAME").containsAll(List.of("int4", "text", "timestamptz", "jsonb")), true);
        equal(rows(m.getFunctions(null, null, "lower"), "FUNCTION_NAME").contains("lower"), true);
        equal(m.getSQLKeywords().length() > 0, true);
    }

    static void sessions(Connection c) throws Exception {
        equal(c.getSchema(), "public");
        c.setSchema("pg_catalog");
        equal(one(c, "SHOW search_path"), "pg_catalog");
        c.setClientInfo("ApplicationName", "matrix");
        equal(one(c, "SHOW application_name"), "matrix");
        equal(one(c, "SHOW extra_float_digits"), "3");
        equal(c.isValid(5), true);
    }

    public static void main(String[] arguments) {
        System.out.println("client\tpgjdbc\t" + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        check("values_in_both_formats", JdbcClient::values);
        check("results_say_what_they_are", JdbcClient::results);
        check("errors_carry_their_fields", JdbcClient::errors);
        check("transactions_and_savepoints", JdbcClient::transactions);
        check("rows_are_fetched_in_parts", JdbcClient::fetching);
        check("results_can_be_edited", JdbcClient::updatable);
        check("copy_in_and_out", JdbcClient::copying);
        check("notifications_while_idle", JdbcClient::notifications);
        check("timeouts_cancel_the_statement", JdbcClient::cancelling);
        check("tables_are_described", JdbcClient::metadata);
        check("settings_of_the_session", JdbcClient::sessions);
        System.exit(failed ? 1 : 0);
    }
}
