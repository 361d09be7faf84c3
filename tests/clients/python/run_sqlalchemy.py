"""SQLAlchemy and Alembic: the ORM, reflection and migrations, through each of four drivers."""

import asyncio
import datetime
import decimal
import enum
import uuid

import alembic
import alembic.autogenerate
import alembic.migration
import alembic.operations
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import create_async_engine

import report
from report import case, equal

DRIVERS = ["psycopg2", "psycopg", "pg8000"]
UTC = datetime.timezone.utc


def url(driver):
    return f"postgresql+{driver}://{report.USER}@{report.HOST}:{report.PORT}/{report.DATABASE}"


class Base(orm.DeclarativeBase):
    pass


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Shop(Base):
    __tablename__ = "shop"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40), unique=True, comment="as on the sign")
    opened: orm.Mapped[datetime.date | None]
    products: orm.Mapped[list["Product"]] = orm.relationship(back_populates="shop", cascade="all, delete-orphan")


class Product(Base):
    __tablename__ = "product"
    __table_args__ = (
        sa.CheckConstraint("price >= 0", name="price_not_negative"),
        sa.Index("product_shop_price", "shop_id", sa.text("price DESC")),
        sa.Index("product_dear", "name", postgresql_where=sa.text("price > 100")),
    )
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
    shop_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("shop.id", ondelete="CASCADE"))
    name: orm.Mapped[str]
    price: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(10, 2))
    size: orm.Mapped[Size] = orm.mapped_column(sa.Enum(Size, name="size"))
    attributes: orm.Mapped[dict] = orm.mapped_column(pg.JSONB, default=dict)
    tags: orm.Mapped[list[str]] = orm.mapped_column(pg.ARRAY(sa.Text), default=list)
    made: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    shop: orm.Mapped[Shop] = orm.relationship(back_populates="products")


def through_each_driver(function):
    """A case per driver, on tables of its own making."""
    for driver in DRIVERS:
        def run(driver=driver):
            engine = sa.create_engine(url(driver))
            try:
                Base.metadata.create_all(engine)
                function(engine)
            finally:
                Base.metadata.drop_all(engine)
                engine.dispose()

        run.__name__ = f"{function.__name__}_{driver}"
        case(run)
    return function


def fill(engine):
    with orm.Session(engine) as session:
        north = Shop(name="north", opened=datetime.date(2020, 1, 1))
        south = Shop(name="south")
        for n in range(30):
            shop = south if n % 3 else north
            shop.products.append(Product(
                name=f"product {n}", price=decimal.Decimal(n) * 10, size=Size.LARGE if n % 2 else Size.SMALL,
                attributes={"n": n, "nested": {"even": n % 2 == 0}}, tags=["all", f"t{n % 5}"]))
        session.add_all([north, south])
        session.commit()


@through_each_driver
def objects_are_stored_and_found(engine):
    fill(engine)
    with orm.Session(engine) as session:
        north = session.scalars(sa.select(Shop).where(Shop.name == "north")).one()
        equal((north.opened, len(north.products)), (datetime.date(2020, 1, 1), 10))
        product = session.scalars(sa.select(Product).where(Product.name == "product 7")).one()
        equal((product.price, product.size, product.attributes, product.tags),
              (decimal.Decimal("70.00"), Size.LARGE, {"n": 7, "nested": {"even": False}}, ["all", "t2"]))
        equal(product.made.utcoffset() is not None, True)
        session.delete(north)
        session.commit()
        equal(session.scalar(sa.select(sa.func.count()).select_from(Product)), 20)


@through_each_driver
def queries_of_the_expression_language(engine):
    fill(engine)
    with orm.Session(engine) as session:
        query = (sa.select(Shop.name, sa.func.sum(Product.price), sa.func.count().filter(Product.size == Size.LARGE))
                 .join(Shop.products).group_by(Shop.name).having(sa.func.count() > 1).order_by(Shop.name))
        equal([tuple(row) for row in session.execute(query)],
              [("north", decimal.Decimal("1350.00"), 5), ("south", decimal.Decimal("3000.00"), 10)])
        rank = sa.func.row_number().over(partition_by=Product.shop_id, order_by=Product.price.desc())
        ranked = sa.select(Product.name, rank.label("rank")).subquery()
        equal(session.scalars(sa.select(ranked.c.name).where(ranked.c.rank == 1).order_by(ranked.c.name)).all(),
              ["product 27", "product 29"])
        json = sa.select(Product.name).where(Product.attributes["n"].as_integer() == 5)
        equal(session.scalars(json).all(), ["product 5"])
        contained = sa.select(sa.func.count()).where(Product.attributes.contains({"nested": {"even": True}}))
        equal(session.scalar(contained), 15)
        equal(session.scalar(sa.select(sa.func.count()).where(Product.tags.contains(["t1"]))), 6)
        equal(session.scalar(sa.select(sa.func.count()).where("t1" == sa.any_(Product.tags))), 6)
        chain = sa.select(sa.literal(1).label("n")).cte("chain", recursive=True)
        chain = chain.union_all(sa.select(chain.c.n + 1).where(chain.c.n < 5))
        equal(session.scalar(sa.select(sa.func.sum(chain.c.n))), 15)
        exists = sa.select(Shop.name).where(Shop.products.any(Product.price > 285))
        equal(session.scalars(exists).all(), ["south"])
        equal(session.scalars(sa.select(Product.name).order_by(Product.price.desc()).limit(2).offset(1)).all(),
              ["product 28", "product 27"])
        equal(session.scalar(sa.select(sa.func.extract("year", Shop.opened)).where(Shop.opened.is_not(None))),
              decimal.Decimal(2020))


@through_each_driver
def inserts_that_meet_a_conflict(engine):
    with engine.begin() as connection:
        insert = pg.insert(Shop).values([{"name": "a"}, {"name": "b"}]).returning(Shop.id, Shop.name)
        first = {row.name: row.id for row in connection.execute(insert)}
        again = pg.insert(Shop).values(name="a", opened=datetime.date(2021, 1, 1))
        again = again.on_conflict_do_update(index_elements=["name"], set_={"opened": again.excluded.opened})
        equal(connection.scalar(again.returning(Shop.id)), first["a"])
        nothing = pg.insert(Shop).values(name="b").on_conflict_do_nothing()
        connection.execute(nothing)
        equal(connection.scalar(sa.select(sa.func.count()).select_from(Shop)), 2)
    with engine.connect() as connection:
        try:
            connection.execute(sa.insert(Shop).values(name="a"))
        except sa.exc.IntegrityError as error:
            equal("shop_name_key" in str(error.orig), True)
            connection.rollback()
        else:
            raise AssertionError("a duplicate was accepted")
        with connection.begin():
            nested = connection.begin_nested()
            connection.execute(sa.insert(Shop).values(name="undone"))
            nested.rollback()
            connection.execute(sa.insert(Shop).values(name="kept"))
        names = connection.scalars(sa.select(Shop.name).order_by(Shop.name)).all()
        equal(names, ["a", "b", "kept"])


@through_each_driver
def tables_are_reflected(engine):
    inspector = sa.inspect(engine)
    equal(sorted(inspector.get_table_names()), ["product", "shop"])
    columns = {c["name"]: c for c in inspector.get_columns("product")}
    equal([str(columns[n]["type"].compile(pg.dialect())) for n in ("id", "price", "attributes", "tags", "made")],
          ["UUID", "NUMERIC(10, 2)", "JSONB", "TEXT[]", "TIMESTAMP WITH TIME ZONE"])
    equal((columns["made"]["default"], columns["price"]["nullable"]), ("now()", False))
    equal(columns["size"]["type"].enums, ["SMALL", "LARGE"])
    equal(inspector.get_enums()[0]["name"], "size")
    equal(inspector.get_pk_constraint("shop"), {"name": "shop_pkey", "constrained_columns": ["id"],
                                                "comment": None, "dialect_options": {"postgresql_include": []}})
    foreign = inspector.get_foreign_keys("product")[0]
    equal((foreign["name"], foreign["referred_table"], foreign["options"]),
          ("product_shop_id_fkey", "shop", {"ondelete": "CASCADE"}))
    indexes = {i["name"]: i for i in inspector.get_indexes("product")}
    equal(indexes["product_shop_price"]["column_names"], ["shop_id", "price"])
    equal(indexes["product_shop_price"]["column_sorting"], {"price": ("desc",)})
    equal(indexes["product_dear"]["dialect_options"]["postgresql_where"], "(price > (100)::numeric)")
    equal(inspector.get_unique_constraints("shop")[0]["name"], "shop_name_key")
    equal(inspector.get_check_constraints("product")[0]["sqltext"], "price >= 0::numeric")
    equal({c["name"]: c["comment"] for c in inspector.get_columns("shop")}["name"], "as on the sign")
    copy = sa.MetaData()
    copy.reflect(engine)
    equal(sorted(copy.tables), ["product", "shop"])


@through_each_driver
def alembic_migrates_up_and_down(engine):
    with engine.begin() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        equal(alembic.autogenerate.compare_metadata(context, Base.metadata), [])
        op = alembic.operations.Operations(context)
        op.add_column("shop", sa.Column("city", sa.String(30), nullable=True))
        op.add_column("shop", sa.Column("open", sa.Boolean, nullable=False, server_default=sa.true()))
        op.create_index("shop_city", "shop", ["city"])
        op.create_check_constraint("city_named", "shop", "length(city) > 0")
        op.alter_column("shop", "city", existing_type=sa.String(30), type_=sa.Text())
        op.alter_column("shop", "city", new_column_name="town")
        op.create_table("audit", sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
                        sa.Column("shop_id", sa.Integer, sa.ForeignKey("shop.id", name="audit_shop")))
        op.bulk_insert(sa.table("shop", sa.column("name"), sa.column("town")), [{"name": "m", "town": "t"}])
    try:
        with engine.begin() as connection:
            equal(tuple(connection.execute(sa.text("SELECT name, town, open FROM shop")).one()), ("m", "t", True))
            context = alembic.migration.MigrationContext.configure(connection)
            kinds = sorted(c[0] for c in alembic.autogenerate.compare_metadata(context, Base.metadata))
            equal(kinds, ["remove_column", "remove_column", "remove_index", "remove_table"])
    finally:
        with engine.begin() as connection:
            op = alembic.operations.Operations(alembic.migration.MigrationContext.configure(connection))
            op.drop_constraint("audit_shop", "audit", type_="foreignkey")
            op.drop_table("audit")
            op.drop_constraint("city_named", "shop", type_="check")
            op.drop_index("shop_city", table_name="shop")
            op.drop_column("shop", "town")
            op.drop_column("shop", "open")
    with engine.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        equal(alembic.autogenerate.compare_metadata(context, Base.metadata), [])


@through_each_driver
def a_failed_migration_leaves_nothing(engine):
    try:
        with engine.begin() as connection:
            op = alembic.operations.Operations(alembic.migration.MigrationContext.configure(connection))
            op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
            op.add_column("nosuch", sa.Column("x", sa.Integer))
    except sa.exc.ProgrammingError as error:
        equal('relation "nosuch" does not exist' in str(error.orig), True)
    equal(sa.inspect(engine).has_table("half"), False)


@case
def the_asynchronous_engine():
    async def work():
        engine = create_async_engine(url("asyncpg"))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(sa.insert(Shop), [{"name": f"shop {n}"} for n in range(50)])
            names = await connection.scalars(sa.select(Shop.name).where(Shop.name.in_(["shop 1", "nosuch"])))
            equal(names.all(), ["shop 1"])
            names = await connection.run_sync(lambda c: sa.inspect(c).get_table_names())
            equal(sorted(names), ["product", "shop"])
            copy = sa.MetaData()
            await connection.run_sync(copy.reflect)
            equal("attributes" in copy.tables["product"].c, True)
            await connection.run_sync(Base.metadata.drop_all)
        await engine.dispose()

    asyncio.run(work())


report.run("SQLAlchemy", f"{sa.__version__}, Alembic {alembic.__version__}")
