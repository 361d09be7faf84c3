"""Django: migrations made and run by the framework, the ORM with its PostgreSQL fields, inspectdb and sqlflush."""

import datetime
import decimal
import io
import pathlib
import sys
import tempfile
import uuid

import django
from django.conf import settings

import report
from report import case, equal

APP = pathlib.Path(tempfile.mkdtemp(prefix="trellis-django-"))
MODELS = '''
import uuid
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower


class Author(models.Model):
    name = models.CharField(max_length=50, unique=True)
    born = models.DateField(null=True, db_index=True)


class Book(models.Model):
    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    price = models.DecimalField(max_digits=8, decimal_places=2)
    tags = ArrayField(models.CharField(max_length=20), default=list)
    extra = models.JSONField(default=dict)
    sold = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    cover = models.BinaryField(null=True)
    related = models.ManyToManyField("self")

    class Meta:
        ordering = ["title"]
        constraints = [
            models.CheckConstraint(condition=models.Q(price__gte=0), name="price_not_negative"),
            models.UniqueConstraint(Lower("title"), "author", name="one_title_per_author"),
        ]
        indexes = [models.Index(fields=["-price", "title"], name="by_price")]
'''


def setup():
    package = APP / "library"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(MODELS)
    sys.path.insert(0, str(APP))
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": report.HOST, "PORT": report.PORT,
                               "USER": report.USER, "NAME": report.DATABASE}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions",
                        "django.contrib.postgres", "library"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True, TIME_ZONE="UTC")
    django.setup()


setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402 (needs the settings)
from django.contrib.postgres.aggregates import ArrayAgg, StringAgg  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Case, Count, Exists, F, OuterRef, Q, Subquery, Sum, Value, When, Window  # noqa: E402
from django.db.models.functions import Coalesce, Concat, ExtractYear, Rank, TruncMonth, Upper  # noqa: E402


def call(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


@case
def migrations_are_made_and_run():
    call("makemigrations", "library")
    call("migrate")
    equal("[ ]" in call("showmigrations"), False)
    equal("No changes detected" in call("makemigrations", dry_run=True), True)
    equal(Permission.objects.filter(content_type__app_label="library").count(), 8)


@case
def objects_are_stored_and_found():
    from library.models import Author, Book
    ann = Author.objects.create(name="ann", born=datetime.date(1970, 1, 1))
    authors = Author.objects.bulk_create([Author(name=f"author {n}") for n in range(20)])
    equal(all(author.pk for author in authors), True)
    sold = datetime.datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=datetime.timezone.utc)
    book = Book.objects.create(title="Ten", author=ann, price=decimal.Decimal("10.50"), tags=["a", "b c"], sold=sold,
                               extra={"pages": [1, None]}, duration=datetime.timedelta(days=2, microseconds=3),
                               cover=b"\x00\xff")
    found = Book.objects.select_related("author").get(pk=book.pk)
    equal((found.author.name, found.price, found.tags, found.extra, found.sold, found.duration, bytes(found.cover)),
          ("ann", decimal.Decimal("10.50"), ["a", "b c"], {"pages": [1, None]}, sold, book.duration, b"\x00\xff"))
    for n in range(1, 10):
        Book.objects.create(title=f"Book {n}", author=authors[n % 3], price=n, tags=[f"t{n % 2}"], extra={"n": n},
                            sold=sold + datetime.timedelta(days=31 * n))
    book.related.add(*Book.objects.filter(price__lt=3))
    equal(sorted(book.related.values_list("title", flat=True)), ["Book 1", "Book 2"])
    equal(Book.objects.get_or_create(title="Ten", author=ann, defaults={"price": 1})[1], False)
    equal(Author.objects.update_or_create(name="ann", defaults={"born": None})[1], False)


@case
def queries_of_the_orm():
    from library.models import Author, Book
    equal(list(Book.objects.filter(tags__contains=["t1"]).values_list("title", flat=True))[:2], ["Book 1", "Book 3"])
    equal(Book.objects.filter(tags__len=2).count(), 1)
    equal(Book.objects.get(extra__n=4).title, "Book 4")
    equal(Book.objects.filter(extra__has_key="pages").get().title, "Ten")
    equal(Book.objects.filter(title__icontains="BOOK", title__regex=r"[12]$").count(), 2)
    equal(Book.objects.aggregate(Sum("price"), Avg("price"), n=Count("pk", filter=Q(price__gt=5))),
          {"price__sum": decimal.Decimal("55.50"), "price__avg": decimal.Decimal("5.55"), "n": 5})
    per_author = Author.objects.annotate(n=Count("books"), titles=StringAgg("books__title", ",", ordering="books__title"))
    equal(list(per_author.filter(n=3).order_by("name").values_list("name", "titles"))[0],
          ("author 0", "Book 3,Book 6,Book 9"))
    per_month = Book.objects.annotate(month=TruncMonth("sold")).values("month").annotate(n=Count("pk")).order_by("month")
    equal([row["month"].month for row in per_month][:3], [5, 6, 7])
    newest = Book.objects.filter(author=OuterRef("pk")).order_by("-sold")
    rows = Author.objects.annotate(latest=Subquery(newest.values("title")[:1]), any=Exists(newest)).filter(any=True)
    equal(sorted(rows.values_list("latest", flat=True)), ["Book 7", "Book 8", "Book 9", "Ten"])
    ranked = Book.objects.annotate(rank=Window(Rank(), partition_by="author", order_by=F("price").desc()))
    equal(ranked.filter(rank=1).count(), 4)
    kinds = Book.objects.annotate(kind=Case(When(price__gt=5, then=Value("dear")), default=Value("cheap")))
    equal(list(kinds.values_list("kind").annotate(n=Count("pk")).order_by("kind")), [("cheap", 5), ("dear", 5)])
    equal(Book.objects.annotate(y=ExtractYear("sold")).filter(y=2024).count(), 8)
    equal(Book.objects.annotate(u=Concat(Upper("title"), Value("!"))).order_by("-price").first().u, "TEN!")
    equal(list(Book.objects.order_by("author_id", "-price").distinct("author_id").values_list("title", flat=True)),
          ["Ten", "Book 9", "Book 7", "Book 8"])
    dear = ArrayAgg("name", filter=Q(books__price__gt=8), ordering="name")
    equal(Author.objects.aggregate(names=dear)["names"], ["ann", "author 0"])
    equal(Book.objects.filter(price__lt=5).union(Book.objects.filter(title="Ten")).count(), 5)
    equal(sum(1 for _ in Book.objects.iterator(chunk_size=3)), 10)
    equal(len(Book.objects.in_bulk()), 10)
    equal(Book.objects.explain() != "", True)


@case
def updates_and_deletes():
    from library.models import Author, Book
    equal(Book.objects.filter(price__gt=8).update(price=F("price") * 2), 2)
    equal(Book.objects.get(title="Ten").price, decimal.Decimal("21.00"))
    books = list(Book.objects.filter(price__lt=4))
    for book in books:
        book.title = book.title.lower()
    equal(Book.objects.bulk_update(books, ["title"]), 3)
    equal(Book.objects.filter(title__startswith="book").count(), 3)
    equal(Author.objects.annotate(b=Coalesce("born", Value(datetime.date(1900, 1, 1)))).filter(b__year=1900).count(), 21)
    equal(Author.objects.filter(name="author 1").delete()[1]["library.Book"], 3)


@case
def constraints_and_transactions():
    from library.models import Author, Book
    author = Author.objects.get(name="ann")
    for fields, constraint in [({"title": "TEN", "price": 1}, "one_title_per_author"),
                               ({"title": "x", "price": -1}, "price_not_negative")]:
        try:
            with transaction.atomic():
                Book.objects.create(author=author, **fields)
        except IntegrityError as error:
            equal(constraint in str(error), True)
        else:
            raise AssertionError(f"{constraint} was not enforced")
    try:
        with transaction.atomic():
            Book.objects.create(title="orphan", author_id=10**6, price=1)
            connection.check_constraints()
    except IntegrityError as error:
        equal("violates foreign key constraint" in str(error), True)
    else:
        raise AssertionError("the foreign key was not enforced")
    with transaction.atomic():
        Group.objects.create(name="outer")
        try:
            with transaction.atomic():
                Group.objects.create(name="inner")
                raise ValueError
        except ValueError:
            pass
    equal(list(Group.objects.values_list("name", flat=True)), ["outer"])
    with transaction.atomic():
        equal(Author.objects.select_for_update().get(name="ann").name, "ann")


@case
def users_and_permissions():
    user = User.objects.create_user("eve", "eve@example.org", "secret")
    user.groups.add(Group.objects.get(name="outer"))
    user.user_permissions.add(Permission.objects.get(codename="add_book"))
    equal(User.objects.get(username="eve").has_perm("library.add_book"), True)
    equal(User.objects.filter(groups__name="outer", email__iendswith="EXAMPLE.ORG").count(), 1)


@case
def a_schema_editor_alters_tables():
    from library.models import Author
    with connection.schema_editor() as editor:
        field = models.IntegerField(default=7)
        field.set_attributes_from_name("rating")
        editor.add_field(Author, field)
        wide = models.BigIntegerField(null=True)
        wide.set_attributes_from_name("score")
        wide.model = field.model = Author
        editor.alter_field(Author, field, wide)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT score FROM library_author")
        equal(cursor.fetchall(), [(7,)])
        table = connection.introspection.get_table_description(cursor, "library_author")
        equal({c.name: c.null_ok for c in table}["score"], True)
    with connection.schema_editor() as editor:
        editor.remove_field(Author, wide)


@case
def tables_are_introspected():
    text = call("inspectdb", "library_book", "library_author")
    for part in ["class LibraryBook(models.Model):", "key = models.UUIDField(primary_key=True)",
                 "title = models.CharField(max_length=100)", "extra = models.JSONField()", "cover = models.BinaryField(",
                 "price = models.DecimalField(max_digits=8, decimal_places=2)", "duration = models.DurationField(",
                 "author = models.ForeignKey('LibraryAuthor', models.DO_NOTHING)",
                 "name = models.CharField(unique=True, max_length=50)"]:
        if part not in text:
            raise AssertionError(f"inspectdb lacks {part!r}: {text}")
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "library_book")
        equal(constraints["by_price"]["orders"], ["DESC", "ASC"])
        equal(constraints["price_not_negative"]["check"], True)
        sequences = connection.introspection.get_sequences(cursor, "library_author")
        equal(sequences, [{"name": "library_author_id_seq", "table": "library_author", "column": "id"}])


@case
def data_is_dumped_flushed_and_loaded():
    path = APP / "data.json"
    call("dumpdata", "library", "auth.group", output=str(path))
    from library.models import Author, Book
    before = (Author.objects.count(), Book.objects.count())
    call("flush", interactive=False)
    equal((Author.objects.count(), Book.objects.count()), (0, 0))
    call("loaddata", str(path))
    equal((Author.objects.count(), Book.objects.count()), before)
    equal(Author.objects.create(name="after").pk, Author.objects.aggregate(m=models.Max("pk"))["m"])


@case
def migrations_are_undone():
    call("migrate", "library", "zero")
    equal([t for t in connection.introspection.table_names() if t.startswith("library")], [])


report.run("Django", django.get_version())
