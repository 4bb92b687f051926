# ruff: noqa: E501
"""Textbook Python from a small grammar: the part of the corpus that the tiny pair learns best.

A template is Python text with two kinds of holes. `<slot>` is filled from the topic drawn for the
document (`<noun>`, `<nouns>`, `<num>`, `<text>`, `<flag>`, ...), `[[a||b]]` is a free choice. The
first docstring of a filled template tells what it does, which `corpus.py` may turn into a comment.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

CHOICE = re.compile(r"\[\[(.*?)\]\](?!\])", re.DOTALL)
SLOT = re.compile(r"<([a-z]+)>")


@dataclass(frozen=True)
class Topic:
    """Things of one kind: their names, and the names of what can be asked about them."""

    noun: str
    nouns: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    flags: tuple[str, ...]

    def slots(self, rng: random.Random) -> dict[str, str]:
        """One filling of every slot a template may use."""
        num, other = rng.sample(self.numbers, 2)
        text, label = rng.sample(self.texts, 2)
        camel = "".join(part.capitalize() for part in self.noun.split("_"))
        return {
            "noun": self.noun,
            "nouns": self.nouns,
            "class": camel,
            "num": num,
            "other": other,
            "text": text,
            "label": label,
            "flag": rng.choice(self.flags),
            "small": str(rng.choice((1, 2, 3, 5, 10))),
            "large": str(rng.choice((10, 20, 50, 100, 1000))),
        }


def _topic(line: str) -> Topic:
    names, numbers, texts, flags = (part.split() for part in line.split("|"))
    return Topic(names[0], names[1], tuple(numbers), tuple(texts), tuple(flags))


TOPICS = tuple(
    _topic(line)
    for line in """
user users | age score level | name email role | active verified admin
order orders | total quantity price | status customer address | paid shipped open
product products | price stock weight | name category brand | available new popular
item items | price count weight | name kind label | valid used hidden
student students | grade age score | name school subject | enrolled present
book books | pages price year | title author genre | available borrowed
task tasks | priority duration cost | title owner status | done urgent blocked
event events | duration size time | name place kind | public active past
file files | size count offset | name path extension | hidden empty open
record records | value count size | key name source | valid complete empty
message messages | length size priority | text sender subject | read sent unread
player players | score level points | name team position | active ready alive
team teams | points wins size | name city coach | active winning
account accounts | balance limit rate | name owner bank | active open locked
employee employees | salary age bonus | name department title | active remote
car cars | speed price mileage | model color brand | electric new parked
movie movies | rating year duration | title director genre | seen popular
song songs | duration year plays | title artist album | liked popular
city cities | population area height | name country region | large coastal
point points | x y weight | label color name | visible inside
node nodes | value depth weight | name label color | visited leaf open
job jobs | priority runtime retries | name queue status | running finished failed
ticket tickets | price number age | title owner status | open closed urgent
server servers | load memory port | name host region | online healthy busy
request requests | size duration retries | path method host | cached valid pending
invoice invoices | amount tax total | number customer status | paid overdue
customer customers | age balance visits | name email city | active loyal
course courses | credits hours size | title teacher subject | open full
animal animals | age weight height | name species color | wild healthy
recipe recipes | servings time calories | name author cuisine | vegetarian quick
package packages | weight size version | name sender address | delivered fragile
sensor sensors | value limit rate | name unit location | active broken
image images | width height size | name path format | visible public
page pages | number length views | title url author | public hidden
post posts | likes views score | title author body | published pinned
comment comments | likes length score | text author topic | approved hidden
room rooms | size price floor | name building kind | free clean booked
ticker tickers | price volume change | name symbol market | active open
country countries | population area income | name capital region | large rich
word words | length count rank | text language kind | common short long
row rows | value total index | name key label | valid empty selected
entry entries | value size time | key name text | valid expired
member members | age points visits | name email group | active paid
device devices | power port speed | name vendor status | online enabled
contact contacts | age calls rank | name phone email | favorite blocked
""".strip().splitlines()
)

LOOSE_NOUNS = tuple(
    """
album article artist attempt attribute author badge bill block bookmark bottle button call camera card cell change
channel chapter chunk client color column command connection coupon document door doctor driver editor element engine
error field flight flower folder function game garden group guest header hotel hour house item_group job_group key
lesson letter level line link list loan machine manager map match_day meeting method metric module motor note number
object option owner paper parameter patient payment person_group phone photo planet plant plugin printer profile
project question reader reminder report result review river robot role rule score section segment session setting ship
signal skill slot song_list source step store street symbol table tag target teacher test_run thread token tool topic
train type value variable vehicle version video view visit visitor warning window worker writer zone
""".split()
)
LOOSE_NUMBERS = tuple(dict.fromkeys(name for topic in TOPICS for name in topic.numbers))
LOOSE_TEXTS = tuple(dict.fromkeys(name for topic in TOPICS for name in topic.texts))
LOOSE_FLAGS = tuple(dict.fromkeys(name for topic in TOPICS for name in topic.flags))


def draw_topic(rng: random.Random) -> Topic:
    """A listed topic, or as often a loose one, whose names can only be learned by copying them."""
    if rng.random() < 0.5:
        return rng.choice(TOPICS)
    noun = rng.choice(LOOSE_NOUNS)
    numbers, texts = rng.sample(LOOSE_NUMBERS, 2), rng.sample(LOOSE_TEXTS, 2)
    return Topic(noun, f"{noun}s", tuple(numbers), tuple(texts), (rng.choice(LOOSE_FLAGS),))


COLLECTION = r'''
def count_<flag>_<nouns>(<nouns>):
    """[[Return the number of <flag> <nouns>.||Count the <flag> <nouns>.||Count how many <nouns> are <flag>.]]"""
    [[count = 0
    for <noun> in <nouns>:
        if <noun>.<flag>:
            count += 1
    return count||return sum((1 for <noun> in <nouns> if <noun>.<flag>))]]
===
def get_<flag>_<nouns>(<nouns>):
    """[[Return the <flag> <nouns>.||Return only the <nouns> that are <flag>.||Return a list of all <flag> <nouns>.]]"""
    return [<noun> for <noun> in <nouns> if <noun>.<flag>]
===
def filter_<nouns>(<nouns>, <text>):
    """[[Return the <nouns> with the given <text>.||Keep only the <nouns> whose <text> matches.]]"""
    [[result = []
    for <noun> in <nouns>:
        if <noun>.<text> == <text>:
            result.append(<noun>)
    return result||return [<noun> for <noun> in <nouns> if <noun>.<text> == <text>]]]
===
def find_<noun>_by_<text>(<nouns>, <text>):
    """[[Return the first <noun> with the given <text>, or None.||Find a <noun> by its <text>.||Find the <noun> with the given <text>.]]"""
    for <noun> in <nouns>:
        if <noun>.<text> == <text>:
            return <noun>
    return None
===
def find_<noun>(<nouns>, <text>):
    """[[Return the <noun> with the given <text>.||Find a <noun> by <text>.]]"""
    for <noun> in <nouns>:
        if <noun>.<text> == <text>:
            return <noun>
    [[return None||raise KeyError(<text>)||raise ValueError(f'no <noun> with <text> {<text>}')]]
===
def get_<noun>_<text>s(<nouns>):
    """[[Return the <text> of every <noun>.||Return a list of <noun> <text>s.||Collect the <text>s of all <nouns>.]]"""
    return [<noun>.<text> for <noun> in <nouns>]
===
def [[total||compute_total||get_total||sum]]_<num>(<nouns>):
    """[[Return the total <num> of the <nouns>.||Compute the total <num> of all <nouns>.||Return the sum of the <num> of all <nouns>.]]"""
    [[total = 0
    for <noun> in <nouns>:
        total += <noun>.<num>
    return total||return sum((<noun>.<num> for <noun> in <nouns>))]]
===
def [[average||compute_average||get_average||mean]]_<num>(<nouns>):
    """[[Return the average <num> of the <nouns>.||Compute the average <num> of all <nouns>.||Return the mean <num> of a list of <nouns>.]]"""
    if not <nouns>:
        return [[0||0.0||None]]
    total = sum((<noun>.<num> for <noun> in <nouns>))
    return total / len(<nouns>)
===
def [[find||get]]_[[highest||largest||best||maximum]]_<num>(<nouns>):
    """[[Return the highest <num> among the <nouns>.||Return the <noun> with the highest <num>.||Find the <noun> with the largest <num>.]]"""
    [[best = None
    for <noun> in <nouns>:
        if best is None or <noun>.<num> > best.<num>:
            best = <noun>
    return best||return max(<nouns>, key=lambda <noun>: <noun>.<num>)]]
===
def [[find||get]]_[[lowest||smallest||minimum]]_<num>(<nouns>):
    """[[Return the lowest <num> among the <nouns>.||Return the <noun> with the lowest <num>.||Find the <noun> with the smallest <num>.]]"""
    [[lowest = None
    for <noun> in <nouns>:
        if lowest is None or <noun>.<num> < lowest.<num>:
            lowest = <noun>
    return lowest||return min(<nouns>, key=lambda <noun>: <noun>.<num>)]]
===
def group_<nouns>_by_<text>(<nouns>):
    """[[Group the <nouns> by their <text>.||Return a dict of <nouns> grouped by <text>.||Group a list of <nouns> by <text>.]]"""
    groups = {}
    for <noun> in <nouns>:
        [[groups.setdefault(<noun>.<text>, []).append(<noun>)||if <noun>.<text> not in groups:
            groups[<noun>.<text>] = []
        groups[<noun>.<text>].append(<noun>)]]
    return groups
===
def count_<nouns>_by_<text>(<nouns>):
    """[[Count the <nouns> for each <text>.||Return how many <nouns> there are for each <text>.]]"""
    counts = {}
    for <noun> in <nouns>:
        counts[<noun>.<text>] = counts.get(<noun>.<text>, 0) + 1
    return counts
===
def index_<nouns>_by_<text>(<nouns>):
    """[[Return a dict that maps each <text> to its <noun>.||Index the <nouns> by <text>.]]"""
    return {<noun>.<text>: <noun> for <noun> in <nouns>}
===
def sort_<nouns>_by_<num>(<nouns>[[||, reverse=False]]):
    """[[Return the <nouns> sorted by <num>.||Sort the <nouns> by their <num>.]]"""
    return sorted(<nouns>, key=lambda <noun>: <noun>.<num>)
===
def has_<flag>_<noun>(<nouns>):
    """[[Return True if any <noun> is <flag>.||Check whether there is a <flag> <noun>.]]"""
    [[for <noun> in <nouns>:
        if <noun>.<flag>:
            return True
    return False||return any((<noun>.<flag> for <noun> in <nouns>))]]
===
def all_<nouns>_<flag>(<nouns>):
    """[[Return True if all <nouns> are <flag>.||Check whether every <noun> is <flag>.]]"""
    return all((<noun>.<flag> for <noun> in <nouns>))
===
def remove_<flag>_<nouns>(<nouns>):
    """[[Return the <nouns> that are not <flag>.||Remove the <flag> <nouns> from the list.]]"""
    return [<noun> for <noun> in <nouns> if not <noun>.<flag>]
===
def unique_<nouns>(<nouns>):
    """[[Return the <nouns> without duplicates.||Remove duplicate <nouns> and keep the order.]]"""
    seen = set()
    result = []
    for <noun> in <nouns>:
        if <noun> not in seen:
            seen.add(<noun>)
            result.append(<noun>)
    return result
===
def merge_<nouns>(first, second):
    """[[Merge two lists of <nouns>.||Return the <nouns> of both lists without duplicates.]]"""
    result = list(first)
    for <noun> in second:
        if <noun> not in result:
            result.append(<noun>)
    return result
===
def split_<nouns>(<nouns>, size):
    """[[Split the <nouns> into batches of the given size.||Split a list of <nouns> into chunks.]]"""
    return [<nouns>[i:i + size] for i in range(0, len(<nouns>), size)]
===
def batch_<nouns>(<nouns>, size):
    """[[Yield the <nouns> in batches of the given size.||Yield batches of <nouns>.]]"""
    batch = []
    for <noun> in <nouns>:
        batch.append(<noun>)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
===
def partition_<nouns>(<nouns>):
    """[[Split the <nouns> into <flag> and other ones.||Return the <flag> <nouns> and the remaining ones.]]"""
    <flag> = []
    others = []
    for <noun> in <nouns>:
        if <noun>.<flag>:
            <flag>.append(<noun>)
        else:
            others.append(<noun>)
    return (<flag>, others)
===
def top_<nouns>(<nouns>, limit=<large>):
    """[[Return the <nouns> with the highest <num>.||Return the top <nouns> by <num>.]]"""
    ordered = sorted(<nouns>, key=lambda <noun>: <noun>.<num>, reverse=True)
    return ordered[:limit]
===
def format_<noun>(<noun>):
    """[[Return a short description of the <noun>.||Format a <noun> as text.||Return the <noun> as a string.]]"""
    return f'{<noun>.<text>} ({<noun>.<num>})'
===
def <noun>_to_dict(<noun>):
    """[[Return the <noun> as a dict.||Convert a <noun> to a dictionary.]]"""
    return {'<text>': <noun>.<text>, '<num>': <noun>.<num>}
===
def <noun>_from_dict(data):
    """[[Read a <noun> from a dict.||Return the <text> and <num> stored in a dictionary.]]"""
    return (data['<text>'], data['<num>'])
===
def print_<nouns>(<nouns>):
    """[[Print every <noun> on its own line.||Print the <text> and <num> of all <nouns>.]]"""
    for <noun> in <nouns>:
        print(f'{<noun>.<text>}: {<noun>.<num>}')
===
def validate_<noun>(<noun>):
    """[[Check that the <noun> is valid.||Raise an error if the <noun> is not valid.]]"""
    if not <noun>.<text>:
        raise ValueError('<text> is required')
    if <noun>.<num> < 0:
        raise ValueError('<num> must not be negative')
    return <noun>
===
def is_valid_<noun>(<noun>):
    """[[Return True if the <noun> is valid.||Check whether a <noun> has a <text> and a positive <num>.]]"""
    if not <noun>.<text>:
        return False
    return <noun>.<num> > 0
===
def create_<noun>(<text>, <num>[[||=0||=<small>]]):
    """[[Create a new <noun>.||Return a new <noun> with the given <text> and <num>.]]"""
    if not <text>:
        raise ValueError('<text> must not be empty')
    return {'<text>': <text>, '<num>': <num>}
===
def add_<noun>(<nouns>, <noun>):
    """[[Add a <noun> to the list of <nouns>.||Add the <noun> if it is not in the list yet.]]"""
    if <noun> in <nouns>:
        return False
    <nouns>.append(<noun>)
    return True
===
def remove_<noun>(<nouns>, <text>):
    """[[Remove the <noun> with the given <text>.||Return the <nouns> without the one with the given <text>.]]"""
    return [<noun> for <noun> in <nouns> if <noun>.<text> != <text>]
===
def update_<noun>(<noun>, **changes):
    """[[Update the <noun> with the given changes.||Set the given attributes of the <noun>.]]"""
    for name, value in changes.items():
        setattr(<noun>, name, value)
    return <noun>
===
def update_<num>(<nouns>, <text>, <num>):
    """[[Set the <num> of the <noun> with the given <text>.||Change the <num> of one <noun>.]]"""
    for <noun> in <nouns>:
        if <noun>.<text> == <text>:
            <noun>.<num> = <num>
            return True
    return False
===
def load_<nouns>(path):
    """[[Load the <nouns> from a JSON file.||Read a list of <nouns> from a file.]]"""
    with open(path) as file:
        [[return json.load(file)||data = json.load(file)
    return data['<nouns>']]]
===
def save_<nouns>(<nouns>, path):
    """[[Save the <nouns> to a JSON file.||Write the <nouns> to a file.]]"""
    with open(path, 'w') as file:
        json.dump(<nouns>, file, indent=2)
===
def read_<nouns>(path):
    """[[Read the <nouns> from a CSV file.||Return the <nouns> stored in a CSV file.]]"""
    with open(path, newline='') as file:
        reader = csv.DictReader(file)
        return [row for row in reader]
===
def write_<nouns>(path, <nouns>):
    """[[Write the <nouns> to a text file, one per line.||Write one <noun> per line.]]"""
    with open(path, 'w') as file:
        for <noun> in <nouns>:
            file.write(f'{<noun>.<text>},{<noun>.<num>}\n')
===
def parse_<noun>(line):
    """[[Parse a <noun> from a line of text.||Return the <text> and <num> found in a line.]]"""
    <text>, <num> = line.strip().split(',')
    return {'<text>': <text>, '<num>': int(<num>)}
===
def <noun>_exists(<nouns>, <text>):
    """[[Return True if there is a <noun> with the given <text>.||Check whether a <noun> with this <text> exists.]]"""
    return any((<noun>.<text> == <text> for <noun> in <nouns>))
===
def compare_<nouns>(first, second):
    """[[Compare two <nouns> by <num>.||Return which of two <nouns> has the higher <num>.]]"""
    if first.<num> == second.<num>:
        return 0
    return 1 if first.<num> > second.<num> else -1
===
def <nouns>_above(<nouns>, limit):
    """[[Return the <nouns> whose <num> is above the limit.||Return all <nouns> with a <num> greater than the limit.]]"""
    return [<noun> for <noun> in <nouns> if <noun>.<num> > limit]
===
def <nouns>_below(<nouns>, limit):
    """[[Return the <nouns> whose <num> is below the limit.||Return all <nouns> with a <num> smaller than the limit.]]"""
    return [<noun> for <noun> in <nouns> if <noun>.<num> < limit]
===
def search_<nouns>(<nouns>, query):
    """[[Return the <nouns> whose <text> contains the query.||Search the <nouns> by <text>.]]"""
    query = query.lower()
    return [<noun> for <noun> in <nouns> if query in <noun>.<text>.lower()]
===
def summarize_<nouns>(<nouns>):
    """[[Return a summary of the <nouns>.||Return the count, total and average <num> of the <nouns>.]]"""
    total = sum((<noun>.<num> for <noun> in <nouns>))
    count = len(<nouns>)
    return {'count': count, 'total': total, 'average': total / count if count else 0}
===
def <num>_range(<nouns>):
    """[[Return the lowest and highest <num> of the <nouns>.||Return the smallest and the largest <num>.]]"""
    values = [<noun>.<num> for <noun> in <nouns>]
    return (min(values), max(values))
===
def total_<num>_by_<text>(<nouns>):
    """[[Return the total <num> for each <text>.||Add up the <num> of the <nouns> for each <text>.]]"""
    totals = {}
    for <noun> in <nouns>:
        totals[<noun>.<text>] = totals.get(<noun>.<text>, 0) + <noun>.<num>
    return totals
===
def random_<noun>(<nouns>):
    """[[Return a random <noun>.||Pick one of the <nouns> at random.]]"""
    if not <nouns>:
        return None
    return random.choice(<nouns>)
===
def latest_<noun>(<nouns>):
    """[[Return the last <noun>, or None if there is none.||Return the most recent <noun>.]]"""
    if not <nouns>:
        return None
    return <nouns>[-1]
===
def increase_<num>(<noun>, amount=<small>):
    """[[Increase the <num> of the <noun>.||Add the amount to the <num> of a <noun>.]]"""
    <noun>.<num> += amount
    return <noun>.<num>
===
def mark_<flag>(<noun>):
    """[[Mark the <noun> as <flag>.||Set the <flag> flag of the <noun>.]]"""
    <noun>.<flag> = True
    return <noun>
===
def mark_all_<flag>(<nouns>):
    """[[Mark all <nouns> as <flag>.||Mark every <noun> in the list as <flag>.]]"""
    for <noun> in <nouns>:
        <noun>.<flag> = True
===
def copy_<noun>(<noun>):
    """[[Return a copy of the <noun>.||Make a copy of a <noun>.]]"""
    return {'<text>': <noun>.<text>, '<num>': <noun>.<num>}
===
def <text>_length(<noun>):
    """[[Return the length of the <text> of the <noun>.||Return how long the <text> is.]]"""
    return len(<noun>.<text>)
===
def longest_<text>(<nouns>):
    """[[Return the longest <text> of the <nouns>.||Find the longest <text>.]]"""
    return max((<noun>.<text> for <noun> in <nouns>), key=len)
'''

CLASSES = r'''
class <class>:
    """[[A <noun> with a <text> and a <num>.||Represents a single <noun>.||A simple <noun>.]]"""

    def __init__(self, <text>, <num>[[||=0]]):
        self.<text> = <text>
        self.<num> = <num>

    def __str__(self):
        return f'{self.<text>} ({self.<num>})'
===
class <class>:
    """[[A <noun> with a <text>, a <label> and a <num>.||Information about a <noun>.]]"""

    def __init__(self, <text>, <label>, <num>):
        self.<text> = <text>
        self.<label> = <label>
        self.<num> = <num>
        self.<flag> = False

    def mark_<flag>(self):
        """Mark the <noun> as <flag>."""
        self.<flag> = True
===
class <class>[[List||Collection||Store||Group]]:
    """[[A collection of <nouns>.||A list of <nouns>.||Keeps track of a set of <nouns>.]]"""

    def __init__(self):
        self.<nouns> = []

    def add(self, <noun>):
        """Add a <noun> to the collection."""
        self.<nouns>.append(<noun>)

    def remove(self, <noun>):
        """Remove a <noun> from the collection."""
        self.<nouns>.remove(<noun>)

    def __len__(self):
        return len(self.<nouns>)
===
class <class>[[Manager||Registry||Index]]:
    """[[Manages a set of <nouns>.||Stores <nouns> by <text>.||A registry of <nouns>.]]"""

    def __init__(self):
        self.<nouns> = {}

    def add(self, <noun>):
        """Add a <noun>."""
        self.<nouns>[<noun>.<text>] = <noun>

    def get(self, <text>):
        """Return the <noun> with the given <text>, or None."""
        return self.<nouns>.get(<text>)

    def __len__(self):
        return len(self.<nouns>)
===
class <class>Error(Exception):
    """[[Raised when a <noun> is not valid.||An error that has to do with a <noun>.]]"""

    def __init__(self, <text>, message):
        super().__init__(message)
        self.<text> = <text>
===
class <class>:
    """[[A <noun> that keeps its <num>.||A <noun> whose <num> can change.]]"""

    def __init__(self, <text>, <num>=0):
        self.<text> = <text>
        self.<num> = <num>

    def increase_<num>(self, amount):
        """Increase the <num> by the given amount."""
        self.<num> += amount

    def reset(self):
        """Set the <num> back to zero."""
        self.<num> = 0
===
class <class>:
    """[[A <noun> that can be compared by <num>.||A <noun> ordered by <num>.]]"""

    def __init__(self, <text>, <num>):
        self.<text> = <text>
        self.<num> = <num>

    def __eq__(self, other):
        return self.<num> == other.<num>

    def __lt__(self, other):
        return self.<num> < other.<num>
===
class <class>Queue:
    """[[A queue of <nouns>.||A first in, first out queue of <nouns>.]]"""

    def __init__(self):
        self._<nouns> = []

    def push(self, <noun>):
        """Add a <noun> to the end of the queue."""
        self._<nouns>.append(<noun>)

    def pop(self):
        """Remove and return the first <noun>."""
        return self._<nouns>.pop(0)

    def is_empty(self):
        """Return True if the queue is empty."""
        return not self._<nouns>
===
class <class>Counter:
    """[[Counts <nouns> by <text>.||Counts how often each <text> occurs.]]"""

    def __init__(self):
        self.counts = {}

    def add(self, <noun>):
        """Count one <noun>."""
        self.counts[<noun>.<text>] = self.counts.get(<noun>.<text>, 0) + 1

    def most_common(self):
        """Return the <text> that was counted most often."""
        return max(self.counts, key=self.counts.get)
===
class Stack:
    """[[A simple stack.||A last in, first out stack.||A stack of <nouns>.]]"""

    def __init__(self):
        self.items = []

    def push(self, item):
        """Put an item on top of the stack."""
        self.items.append(item)

    def pop(self):
        """Remove and return the top item."""
        if not self.items:
            raise IndexError('stack is empty')
        return self.items.pop()

    def is_empty(self):
        """Return True if the stack is empty."""
        return not self.items
===
class [[Rectangle||Box||Window||Picture]]:
    """[[A rectangle with a width and a height.||A shape with a width and a height.]]"""

    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        """Return the area."""
        return self.width * self.height

    def scale(self, factor):
        """Scale both sides by a factor."""
        self.width *= factor
        self.height *= factor
===
class [[Point||Vector||Position]]:
    """[[A point in two dimensions.||A vector with two coordinates.]]"""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def distance_to(self, other):
        """Return the distance to another point."""
        return math.sqrt((self.x - other.x) ** 2 + (self.y - other.y) ** 2)

    def move(self, dx, dy):
        """Move the point by the given amounts."""
        self.x += dx
        self.y += dy
===
class [[Timer||Stopwatch]]:
    """[[Measures elapsed time.||A simple timer.]]"""

    def __init__(self):
        self.started = None

    def start(self):
        """Start the timer."""
        self.started = time.time()

    def stop(self):
        """Stop the timer and return the elapsed seconds."""
        elapsed = time.time() - self.started
        self.started = None
        return elapsed
===
class [[Account||BankAccount||Wallet||SavingsAccount]]:
    """[[An account with a balance.||A bank account.]]"""

    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        """Add money to the account."""
        self.balance += amount

    def withdraw(self, amount):
        """Take money from the account."""
        if amount > self.balance:
            raise ValueError('not enough money')
        self.balance -= amount
===
class [[Cache||LimitedCache||SimpleCache||MemoryCache]]:
    """[[A cache with a maximum size.||A small cache of values.]]"""

    def __init__(self, size=<large>):
        self.size = size
        self.values = {}

    def get(self, key, default=None):
        """Return the value of a key."""
        return self.values.get(key, default)

    def put(self, key, value):
        """Store a value under a key."""
        if len(self.values) >= self.size:
            self.values.pop(next(iter(self.values)))
        self.values[key] = value
===
class [[Node||TreeNode||ListNode]]:
    """[[A node with a value and children.||A node of a tree.]]"""

    def __init__(self, value):
        self.value = value
        self.children = []

    def add_child(self, child):
        """Add a child node."""
        self.children.append(child)

    def depth(self):
        """Return the depth of the tree below this node."""
        if not self.children:
            return 1
        return 1 + max((child.depth() for child in self.children))
===
class [[Counter||WordCounter||ValueCounter]]:
    """[[Counts how often values occur.||A counter of values.]]"""

    def __init__(self):
        self.counts = {}

    def add(self, value):
        """Count one value."""
        self.counts[value] = self.counts.get(value, 0) + 1

    def total(self):
        """Return the number of counted values."""
        return sum(self.counts.values())
===
class [[Settings||Config||Options||Preferences]]:
    """[[Stores settings by name.||Configuration values with defaults.]]"""

    def __init__(self, defaults=None):
        self.values = dict(defaults or {})

    def get(self, name, default=None):
        """Return the value of a setting."""
        return self.values.get(name, default)

    def set(self, name, value):
        """Change the value of a setting."""
        self.values[name] = value
===
class [[Graph||Network||RoadMap]]:
    """[[A graph of connected nodes.||An undirected graph.]]"""

    def __init__(self):
        self.edges = {}

    def add_edge(self, first, second):
        """Connect two nodes."""
        self.edges.setdefault(first, set()).add(second)
        self.edges.setdefault(second, set()).add(first)

    def neighbors(self, node):
        """Return the neighbors of a node."""
        return self.edges.get(node, set())
===
class [[Circle||Disk||Wheel]]:
    """[[A circle with a radius.||A round shape.]]"""

    def __init__(self, radius):
        self.radius = radius

    def area(self):
        """Return the area of the circle."""
        return math.pi * self.radius ** 2

    def circumference(self):
        """Return the circumference of the circle."""
        return 2 * math.pi * self.radius
'''

TEXTBOOK = r'''
def count_[[words||tokens]]([[text||sentence||line||string]]):
    """[[Return the number of words in a text.||Count the words in a text.]]"""
    return len(text.split())
===
def count_[[vowels||letters||digits||spaces]](text):
    """[[Count the characters of one kind in a text.||Return how many of these characters a text has.]]"""
    count = 0
    for char in text:
        if char.[[isalpha()||isdigit()||isspace()]]:
            count += 1
    return count
===
def reverse_words(text):
    """[[Return the text with its words in reverse order.||Reverse the order of the words in a text.]]"""
    words = text.split()
    return ' '.join(reversed(words))
===
def is_palindrome([[text||word]]):
    """[[Return True if the text reads the same backwards.||Check whether a text is a palindrome.]]"""
    cleaned = [char.lower() for char in text if char.isalnum()]
    return cleaned == cleaned[::-1]
===
def [[slugify||make_slug]](text):
    """[[Turn a text into a slug.||Return a text that can be used in a URL.]]"""
    text = text.lower().strip()
    return re.sub('[^a-z0-9]+', '-', text).strip('-')
===
def truncate(text, length=<large>):
    """[[Return the text cut to the given length.||Shorten a text to the given length.]]"""
    if len(text) <= length:
        return text
    return text[:length - 3] + '...'
===
def [[word_frequencies||count_frequencies||word_counts]](text):
    """[[Count how often each word occurs.||Return a dict of words and their counts.]]"""
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts
===
def longest_[[word||line||name]]([[words||lines||names]]):
    """[[Return the longest one.||Find the longest string in a list.]]"""
    longest = ''
    for word in words:
        if len(word) > len(longest):
            longest = word
    return longest
===
def remove_[[punctuation||digits||spaces]](text):
    """[[Remove some characters from a text.||Return the text without these characters.]]"""
    return ''.join((char for char in text if char not in [[string.punctuation||string.digits||string.whitespace]]))
===
def capitalize_words(text):
    """[[Capitalize every word in a text.||Return the text with every word capitalized.]]"""
    return ' '.join((word.capitalize() for word in text.split()))
===
def factorial(n):
    """[[Return the factorial of n.||Compute the factorial of a number.]]"""
    [[if n <= 1:
        return 1
    return n * factorial(n - 1)||result = 1
    for i in range(2, n + 1):
        result *= i
    return result]]
===
def fibonacci(n):
    """[[Return the n-th Fibonacci number.||Compute a Fibonacci number.]]"""
    a, b = (0, 1)
    for _ in range(n):
        a, b = (b, a + b)
    return a
===
def [[gcd||greatest_common_divisor]](a, b):
    """[[Return the greatest common divisor of two numbers.||Compute the greatest common divisor.]]"""
    while b:
        a, b = (b, a % b)
    return a
===
def is_prime([[n||number]]):
    """[[Return True if the number is prime.||Check whether a number is prime.]]"""
    if n < 2:
        return False
    for i in range(2, int(n ** 0.5) + 1):
        if n % i == 0:
            return False
    return True
===
def [[primes_up_to||list_primes||find_primes]](limit):
    """[[Return all primes up to the limit.||Return a list of the prime numbers up to a limit.]]"""
    primes = []
    for number in range(2, limit + 1):
        if all((number % prime for prime in primes)):
            primes.append(number)
    return primes
===
def [[mean||average||compute_mean||get_average]]([[values||numbers||scores||prices]]):
    """[[Return the mean of a list of numbers.||Compute the average of some values.]]"""
    if not values:
        return [[0||0.0||None]]
    return sum(values) / len(values)
===
def median([[values||numbers||scores]]):
    """[[Return the median of a list of numbers.||Compute the median of some values.]]"""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
===
def variance([[values||numbers||scores]]):
    """[[Return the variance of a list of numbers.||Compute the variance of some values.]]"""
    mean = sum(values) / len(values)
    return sum(((value - mean) ** 2 for value in values)) / len(values)
===
def clamp([[value||number||x]], [[low, high||minimum, maximum||lower, upper]]):
    """[[Limit a value to a range.||Return the value limited to the given range.]]"""
    if value < low:
        return low
    if value > high:
        return high
    return value
===
def sum_of_[[digits||squares||cubes]]([[n||number]]):
    """[[Return the sum of the digits.||Add up the digits of a number.]]"""
    return sum((int(digit) for digit in str(n)))
===
def is_[[even||odd]]([[n||number||value]]):
    """[[Return True if the number is of this kind.||Check whether a number is even or odd.]]"""
    return n % 2 == [[0||1]]
===
def [[distance||euclidean_distance]]([[a, b||first, second||p, q]]):
    """[[Return the distance between two points.||Compute the distance of two points.]]"""
    return math.sqrt(sum(((x - y) ** 2 for x, y in zip(a, b))))
===
def [[celsius_to_fahrenheit||to_fahrenheit]]([[celsius||degrees]]):
    """[[Convert degrees from Celsius to Fahrenheit.||Convert a temperature to Fahrenheit.]]"""
    return celsius * 9 / 5 + 32
===
def [[normalize||scale_values||rescale]]([[values||numbers||scores]]):
    """[[Scale the values to the range from 0 to 1.||Normalize a list of numbers.]]"""
    low = min(values)
    high = max(values)
    if low == high:
        return [0.0 for _ in values]
    return [(value - low) / (high - low) for value in values]
===
def dot_product([[a, b||first, second||left, right]]):
    """[[Return the dot product of two vectors.||Compute the dot product of two lists.]]"""
    return sum((x * y for x, y in zip(a, b)))
===
def transpose([[matrix||rows||table]]):
    """[[Return the transpose of a matrix.||Swap the rows and columns of a matrix.]]"""
    return [list(row) for row in zip(*matrix)]
===
def binary_search([[values||items||numbers]], target):
    """[[Return the index of the target in a sorted list, or -1.||Find a value in a sorted list.]]"""
    low = 0
    high = len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] == target:
            return middle
        if values[middle] < target:
            low = middle + 1
        else:
            high = middle - 1
    return -1
===
def bubble_sort([[values||items||numbers]]):
    """[[Sort a list in place.||Sort a list of values with bubble sort.]]"""
    for i in range(len(values)):
        for j in range(len(values) - i - 1):
            if values[j] > values[j + 1]:
                values[j], values[j + 1] = (values[j + 1], values[j])
    return values
===
def [[quicksort||quick_sort]]([[values||items||numbers]]):
    """[[Return a sorted copy of the list.||Sort a list with quicksort.]]"""
    if len(values) <= 1:
        return values
    pivot = values[0]
    smaller = [value for value in values[1:] if value < pivot]
    larger = [value for value in values[1:] if value >= pivot]
    return quicksort(smaller) + [pivot] + quicksort(larger)
===
def insertion_sort([[values||items||numbers]]):
    """[[Sort a list with insertion sort.||Sort the values in place.]]"""
    for i in range(1, len(values)):
        current = values[i]
        j = i - 1
        while j >= 0 and values[j] > current:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = current
    return values
===
def flatten([[nested||lists||values||items]]):
    """[[Flatten a nested list.||Return a flat list of all values.]]"""
    result = []
    for item in nested:
        if isinstance(item, list):
            result.extend(flatten(item))
        else:
            result.append(item)
    return result
===
def chunk([[values||items||data]], size):
    """[[Split a list into chunks of the given size.||Yield chunks of a list.]]"""
    for i in range(0, len(values), size):
        yield values[i:i + size]
===
def [[read_file||read_text||load_text]](path):
    """[[Return the contents of a file.||Read a text file.]]"""
    with open(path, encoding='utf-8') as file:
        return file.read()
===
def [[write_file||write_text||save_text]](path, text):
    """[[Write a text to a file.||Save a text in a file.]]"""
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
===
def [[read_lines||load_lines]](path):
    """[[Return the lines of a file.||Read the lines of a text file.]]"""
    with open(path, encoding='utf-8') as file:
        return [line.strip() for line in file]
===
def count_lines(path):
    """[[Return the number of lines in a file.||Count the lines of a file.]]"""
    count = 0
    with open(path) as file:
        for line in file:
            count += 1
    return count
===
def list_files([[directory||folder||path]], extension):
    """[[Return the files with the given extension.||List the files in a directory.]]"""
    files = []
    for name in os.listdir(directory):
        if name.endswith(extension):
            files.append(os.path.join(directory, name))
    return files
===
def [[load_config||load_json||read_json||load_settings]](path):
    """[[Load the configuration from a JSON file.||Read a JSON file and return its data.]]"""
    [[if not os.path.exists(path):
        return {}
    ||]]with open(path) as file:
        return json.load(file)
===
def [[save_config||save_json||write_json||save_settings]](path, data):
    """[[Save the data to a JSON file.||Write some data to a JSON file.]]"""
    with open(path, 'w') as file:
        json.dump(data, file, indent=2)
===
def is_leap_year(year):
    """[[Return True if the year is a leap year.||Check whether a year is a leap year.]]"""
    if year % 400 == 0:
        return True
    if year % 100 == 0:
        return False
    return year % 4 == 0
===
def format_[[duration||time||seconds]](seconds):
    """[[Format a number of seconds as text.||Return the time as hours, minutes and seconds.]]"""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours:02d}:{minutes:02d}:{seconds:02d}'
===
def [[find_index||index_of||find_position]]([[values||items||numbers]], target):
    """[[Return the index of a value, or -1.||Find the position of a value in a list.]]"""
    for index, value in enumerate(values):
        if value == target:
            return index
    return -1
===
def [[find_max||maximum||get_largest||largest]]([[values||numbers||scores||items]]):
    """[[Return the largest value in a list.||Find the largest number in a list.]]"""
    largest = values[0]
    for value in values:
        if value > largest:
            largest = value
    return largest
===
def [[find_min||minimum||get_smallest||smallest]]([[values||numbers||scores||items]]):
    """[[Return the smallest value in a list.||Find the smallest number in a list.]]"""
    smallest = values[0]
    for value in values:
        if value < smallest:
            smallest = value
    return smallest
===
def [[merge_dicts||combine_dicts||merge_settings]]([[first, second||a, b||left, right||defaults, options]]):
    """[[Merge two dictionaries.||Return a dict with the entries of both.]]"""
    result = dict(first)
    for key, value in second.items():
        result[key] = value
    return result
===
def [[invert_dict||reverse_dict||swap_keys]]([[mapping||data||values]]):
    """[[Swap the keys and values of a dict.||Return a dict that maps values to keys.]]"""
    return {value: key for key, value in mapping.items()}
===
def [[remove_duplicates||unique||distinct]]([[values||items||numbers]]):
    """[[Remove duplicates and keep the order.||Return the values without duplicates.]]"""
    seen = set()
    result = []
    for value in values:
        if value not in seen:
            seen.add(value)
            result.append(value)
    return result
===
def [[running_total||cumulative_sum||running_sum]]([[values||numbers||prices]]):
    """[[Return the running totals of a list.||Return the cumulative sums of some values.]]"""
    total = 0
    result = []
    for value in values:
        total += value
        result.append(total)
    return result
===
def [[retry||call_with_retry||try_again]](function, attempts=<small>):
    """[[Call a function until it succeeds.||Call a function several times until it works.]]"""
    for attempt in range(attempts):
        try:
            return function()
        except Exception:
            if attempt == attempts - 1:
                raise
===
def [[parse_int||to_int||safe_int]](text, default=0):
    """[[Convert a text to a number.||Return the number in a text, or a default.]]"""
    try:
        return int(text)
    except ValueError:
        return default
===
def [[parse_pairs||parse_options||parse_header]](text):
    """[[Parse a text of names and values.||Return the names and values found in a text.]]"""
    result = {}
    for line in text.splitlines():
        if '=' not in line:
            continue
        name, value = line.split('=', 1)
        result[name.strip()] = value.strip()
    return result
===
def [[is_sorted||is_ordered]]([[values||items||numbers]]):
    """[[Return True if the list is sorted.||Check whether a list is in order.]]"""
    for i in range(len(values) - 1):
        if values[i] > values[i + 1]:
            return False
    return True
===
def [[rotate||rotate_list||shift_list]]([[values||items]], steps):
    """[[Rotate a list by some steps.||Return the list rotated to the left.]]"""
    if not values:
        return values
    steps %= len(values)
    return values[steps:] + values[:steps]
===
def [[power||raise_to||integer_power]](base, exponent):
    """[[Return the base raised to the exponent.||Compute a power by repeated multiplication.]]"""
    result = 1
    for _ in range(exponent):
        result *= base
    return result
===
def [[random_password||make_password||generate_password]](length=<large>):
    """[[Return a random password.||Generate a password of the given length.]]"""
    characters = string.ascii_letters + string.digits
    return ''.join((random.choice(characters) for _ in range(length)))
===
def [[apply_discount||discounted_price||add_tax]](price, [[rate||percent]]):
    """[[Return the price after a change by a rate.||Compute the new price.]]"""
    if rate < 0:
        raise ValueError('rate must not be negative')
    return round(price * (1 [[-||+]] rate), 2)
===
def [[common_items||intersection||shared_values]](first, second):
    """[[Return the values that are in both lists.||Return the common values of two lists.]]"""
    return [value for value in first if value in second]
===
def [[to_binary||binary_string]](number):
    """[[Return the binary form of a number.||Convert a number to binary.]]"""
    digits = ''
    while number:
        digits = str(number % 2) + digits
        number //= 2
    return digits or '0'
===
def [[days_between||days_apart]](start, end):
    """[[Return the number of days between two dates.||Count the days from one date to another.]]"""
    return abs((end - start).days)
===
def log_[[message||event||error||warning]](message, path):
    """[[Append a message to a log file.||Write a message to the log.]]"""
    now = datetime.now()
    with open(path, 'a') as file:
        file.write(f'{now} {message}\n')
'''

MODULE_DOCSTRINGS = (
    "Utilities for working with <nouns>.",
    "Helper functions for <nouns>.",
    "Helpers for working with <nouns>.",
    "Functions to load, filter and sort <nouns>.",
    "Tools for reading and writing <nouns>.",
    "Simple tools for a list of <nouns>.",
    "Functions that compute the <num> of <nouns>.",
)

PLAIN_DOCSTRINGS = (
    "Small helper functions.",
    "Helpers for numbers and lists.",
    "Helpers for texts, numbers and files.",
    "Simple statistics and other list functions.",
    "Functions for everyday use.",
)


def _templates(text: str) -> tuple[str, ...]:
    return tuple(part.strip("\n") for part in text.split("===\n"))


FAMILIES = {
    "collection": (_templates(COLLECTION), 40),
    "class": (_templates(CLASSES), 25),
    "textbook": (_templates(TEXTBOOK), 35),
}


def _use_first_argument(code: str, drawn: str, written: str) -> str:
    """Rename a body written for the argument `written` to the one that was drawn."""
    return re.sub(rf"\b{written}\b", drawn, code) if drawn != written else code


def fill(template: str, slots: dict[str, str], rng: random.Random) -> str:
    """The template's text with every choice drawn and every slot filled."""
    drawn: list[tuple[str, str]] = []

    def choose(match: re.Match[str]) -> str:
        options = match.group(1).split("||")
        option = rng.choice(options)
        before = template[: match.start()].rsplit("\n", 1)[-1]
        if before.startswith("def ") and option != options[0]:
            drawn.append((option, options[0]))
        return option

    head, _, body = CHOICE.sub(choose, template).partition("\n")
    for option, written in drawn:
        for new, old in zip(option.split(", "), written.split(", "), strict=False):
            if new.isidentifier() and old.isidentifier():
                body = _use_first_argument(body, new, old)
    return SLOT.sub(lambda match: slots[match.group(1)], f"{head}\n{body}")


def draw_code(rng: random.Random, topic: Topic | None = None, family: str | None = None) -> str:
    """The source of one function or class."""
    names = list(FAMILIES)
    family = family or rng.choices(names, [FAMILIES[name][1] for name in names])[0]
    slots = (topic or draw_topic(rng)).slots(rng)
    return fill(rng.choice(FAMILIES[family][0]), slots, rng)


def draw_module(rng: random.Random) -> tuple[str, list[str]]:
    """A module's docstring and the sources of the functions that go with it."""
    if rng.random() < 0.3:
        return rng.choice(PLAIN_DOCSTRINGS), [draw_code(rng, family="textbook")]
    topic = draw_topic(rng)
    slots = topic.slots(rng)
    docstring = SLOT.sub(lambda match: slots[match.group(1)], rng.choice(MODULE_DOCSTRINGS))
    return docstring, [draw_code(rng, topic, "collection") for _ in range(rng.choice((1, 2)))]
