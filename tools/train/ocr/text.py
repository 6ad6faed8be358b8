"""Makes up the texts of the training lines: words, names, numbers, dates, prices, mails, codes.

Half of the words are real ones from the list below, the others are put together from syllables of
English shape, so that the network learns to read letters rather than a vocabulary.
"""
import string

WORDS = """
the of and to in a is that it was for on are as with his they at be this from have or by one had
not but what all were when we there can an your which their said if do will each about how up out
them then she many some so these would other into has more her two like him see time could no make
than first been its who now people my made over did down only way find use may water long little
very after words called just where most know get through back much before go good new write our
used me man too any day same right look think also around another came come work three word must
because does part even place well such here take why things help put years different away again
off went old number great tell men say small every found still between name should home big give
air line set own under read last never us left end along while might next sound below saw
something thought both few those always looked show large often together asked house world going
want school important until form food keep children feet land side without boy once animals life
enough took sometimes four head above kind began almost live page got earth need far hand high
year mother light parts country father let night following picture being study second eyes soon
times story boys since white days ever paper hard near sentence better best across during today
others however sure means knew try told young miles sun ways thing whole hear example heard
several change answer room sea against top turned learn point city play toward five using himself
usually money seen car morning body upon family later turn move face door cut done group true
leave half red fish plants living wanted black eat short state run book gave order open ground
cold really table remember tree course front space inside ago sad early learned ill full hall
early total amount balance invoice customer address street phone date price quantity description
item weight size battery voltage current power model serial version release software hardware
device memory network engine buffer tensor image camera sensor signal filter frame pixel colour
display screen button January February March April June July August September October November
December Monday Tuesday Wednesday Thursday Friday Saturday Sunday north south east west please
warning danger keep closed push pull exit entrance parking office hours station platform ticket
train flight gate seat class express quick brown fox jumps lazy dog zebra quartz jacket vivid
oxygen fuzzy waltz hazel quiet queue excess specified analysis details dataset contains movies
type scale annotation collect follows facilitate difficult official coffee affect waffle shelf
efficient wildlife filling illegal hello yellow billion chapter section figure table method result
question university science theory experiment discussion
""".split()

ONSETS = ("b c d f g h j k l m n p r s t v w z th sh ch st str br cr dr fr gr pr tr bl cl fl gl pl "
          "sl sc sk sm sn sp sw qu wh kn wr ph").split() + [""] * 8 + list("bcdfhlmnprstw") * 2
VOWELS = list("aeiou") * 6 + "ai ea ee ie oa oo ou ow ay ey y io au oi ue".split()
CODAS = ("b d ck ct ff ft g k l ld ll lt m mp n nd ng nk nt p r rd rk rm rn rs rt s ss st sh t th "
         "tch ve x ze que ght").split() + [""] * 16 + list("dlmnrst") * 3
ENDINGS = ["", "", "", "", "", "s", "ed", "ing", "er", "ly", "ion", "al", "ity", "ness", "able"]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
UNITS = "kg g mm cm m km kWh V A W Hz MHz GB MB ms s min h % l ml pcs lbs ft in".split()
DOMAINS = "com org net io de eu edu co.uk info".split()
OPERATORS = "() [0] {} -> == != && || ++ ; *".split()
CAPITALS = string.ascii_uppercase
ALL = string.ascii_letters + string.digits + string.punctuation


def pick(rng, items):
    return items[rng.integers(len(items))]


def pseudo_word(rng):
    syllables = 1 + int(rng.random() < 0.6) + int(rng.random() < 0.2)
    word = "".join(pick(rng, ONSETS) + pick(rng, VOWELS) + (
        pick(rng, CODAS) if rng.random() < 0.6 else "") for _ in range(syllables))
    return (word + pick(rng, ENDINGS))[:14]


def letters_word(rng):
    """Letters without order: what a vocabulary cannot guess."""
    return "".join(pick(rng, string.ascii_lowercase) for _ in range(rng.integers(2, 9)))


def any_word(rng):
    kind = rng.random()
    if kind < 0.5:
        return pick(rng, WORDS)
    return pseudo_word(rng) if kind < 0.88 else letters_word(rng)


def cased(rng, word, first=False):
    kind = rng.random()
    if first and kind < 0.6 or kind < 0.13:
        return word[0].upper() + word[1:]
    if kind > 0.94:
        return word.upper()
    if kind > 0.925:
        return word + pick(rng, WORDS).capitalize()
    return word


def digits(rng, low, high):
    return "".join(str(d) for d in rng.integers(0, 10, rng.integers(low, high + 1)))


def number(rng):
    kind = rng.integers(9)
    if kind < 2:
        return digits(rng, 1, 7)
    if kind == 2:
        return f"{rng.integers(0, 10 ** int(rng.integers(1, 5)))}.{digits(rng, 1, 3)}"
    if kind == 3:
        return f"{rng.integers(1000, 10 ** 7):,}"
    if kind == 4:
        currency = pick(rng, ["$", "$", "USD ", "EUR ", ""])
        return f"{currency}{rng.integers(0, 9999)}.{digits(rng, 2, 2)}"
    if kind == 5:
        return digits(rng, 1, 4) + pick(rng, ["", " "]) + pick(rng, UNITS)
    if kind == 6:
        return pick(rng, "+-~<>=#") + digits(rng, 1, 4)
    if kind == 7:
        return f"{digits(rng, 1, 3)}{pick(rng, '+-*/=:x')}{digits(rng, 1, 3)}"
    return f"({digits(rng, 2, 4)}) {digits(rng, 3, 3)}-{digits(rng, 4, 4)}"


def date(rng):
    y, m, d = rng.integers(1900, 2100), rng.integers(1, 13), rng.integers(1, 32)
    month, half = MONTHS[m - 1], pick(rng, ["AM", "PM"])
    return [f"{y}-{m:02}-{d:02}", f"{d}.{m}.{y}", f"{m}/{d}/{y % 100:02}", f"{month} {d}, {y}",
            f"{d} {month} {y}", f"{m + 6:02}:{d + 10:02}", f"{m}:{d + 10} {half}"][rng.integers(7)]


def address(rng):
    a, b = any_word(rng).lower(), any_word(rng).lower()
    end = f"{b}.{pick(rng, DOMAINS)}"
    return [f"{a}@{end}", f"{a}.{digits(rng, 1, 2)}@{end}", f"www.{end}", f"https://{end}/{a}",
            f"{a}_{b}.{pick(rng, ['txt', 'png', 'c', 'h', 'py', 'json', 'onnx'])}",
            f"/{a}/{b}", f"--{a}={digits(rng, 1, 3)}"][rng.integers(7)]


def code(rng):
    kind = rng.integers(5)
    if kind == 0:
        return "".join(pick(rng, CAPITALS + string.digits) for _ in range(rng.integers(3, 9)))
    if kind == 1:
        return f"{pick(rng, CAPITALS)}{pick(rng, CAPITALS)}{pick(rng, '- /')}{digits(rng, 2, 5)}"
    if kind == 2:
        return "".join(pick(rng, ALL) for _ in range(rng.integers(3, 8)))
    if kind == 3:
        return any_word(rng) + pick(rng, OPERATORS)
    return f"{pick(rng, CAPITALS)}{digits(rng, 1, 3)}{pick(rng, ['', '.', ':', 'K', 'B'])}"


def decorated(rng, word):
    """A word with the signs that stand beside words."""
    kind = rng.random()
    if kind < 0.70:
        return word
    if kind < 0.80:
        return word + pick(rng, ",,,...")
    if kind < 0.84:
        return word + pick(rng, ":;!?")
    if kind < 0.88:
        a, b = pick(rng, [("(", ")"), ('"', '"'), ("'", "'"), ("[", "]"), ("<", ">"), ("{", "}"),
                          ("*", "*"), ("`", "`"), ("_", "_")])
        return a + word + b
    if kind < 0.91:
        return word + pick(rng, ["'s", "n't", "'ll", "'re"])
    if kind < 0.94:
        return word + "-" + any_word(rng)
    if kind < 0.96:
        return pick(rng, "#@&$%^~|\\/+=*<>`_") + word
    if kind < 0.98:
        return word + pick(rng, "%&$#@*+=/\\|^~_<>`")
    between = pick(rng, ["/", " & ", " - ", " + ", " | ", " = ", "...", "@", "_"])
    return word + between + any_word(rng)


def line(rng):
    """One line of 1 to about 32 characters, at least one of them a letter or a digit."""
    target = int(rng.integers(2, 30))
    capitals = rng.random() < 0.08
    text = ""
    while len(text) < target:
        kind = rng.random()
        if kind < 0.70:
            part = decorated(rng, cased(rng, any_word(rng), first=not text))
        elif kind < 0.83:
            part = number(rng)
        elif kind < 0.89:
            part = date(rng)
        elif kind < 0.94:
            part = address(rng)
        else:
            part = code(rng)
        if text and len(text) + len(part) > 34:
            break
        text = f"{text} {part}" if text else part
    if capitals:
        text = text.upper()
    return text if any(c.isalnum() for c in text) else line(rng)
