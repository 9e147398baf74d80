"""Link texts that say nothing of their target, by language."""

from __future__ import annotations

import re
from typing import Final

_PHRASES: Final = {
    "en": "click here|click this|click|go|here|this|this link|link|information|learn more|more|more info|more information|right here|"
          "read more|see more|start",
    "de": "hier|hier klicken|klicken sie hier|klick hier|klicke hier|mehr|mehr erfahren|mehr infos|mehr informationen|mehr lesen|"
          "weiterlesen|siehe|dies|das|link",
    "fr": "cliquez ici|cliquer ici|ici|en savoir plus|lire la suite|la suite|plus|plus d'infos|plus d’infos|plus d'informations|"
          "plus d’informations|voir plus|lien|ce lien",
    "es": "click aquí|clic aquí|haz clic aquí|haga clic aquí|click aqui|clicka aquí|clicka aqui|pincha aquí|pincha aqui|aquí|aqui|más|mas|más información|"
          "más informacion|mas información|mas informacion|leer más|ver más|saber más|este|enlace|este enlace|empezar",
    "it": "clicca qui|qui|leggi|leggi tutto|leggi di più|di più|altro|più informazioni|maggiori informazioni|scopri di più|scopri|continua|link|vai|dettagli",
    "pt": "clique aqui|aqui|ir|mais|mais informação|mais informações|veja mais|ver mais|leia mais|ler mais|saiba mais|saber mais|link|continuar|detalhes",
    "nl": "klik hier|hier|lees meer|lees verder|meer|meer info|meer informatie|meer lezen|verder|verder lezen|link|bekijk|details|ga|start",
    "sv": "här|klicka här|läs mer|mer|mer info|mer information|länk|fortsätt",
    "da": "her|klik her|læs mere|mere|mere info|mere information|link|fortsæt",
    "no": "her|klikk her|les mer|mer|mer info|mer informasjon|lenke|fortsett",
    "pl": "kliknij tutaj|kliknij|tutaj|tu|czytaj więcej|więcej|więcej informacji|czytaj dalej|zobacz więcej|dowiedz się więcej|link",
    "ru": "здесь|тут|нажмите здесь|нажмите|подробнее|далее|читать далее|читать дальше|ещё|еще|больше|ссылка|узнать больше",
    "tr": "buraya tıklayın|tıklayın|burada|buraya|devamı|devamını oku|daha fazla|daha fazla bilgi|link",
    "ar": "اضغط هنا|انقر هنا|هنا|المزيد|اقرأ المزيد|اعرف المزيد|للمزيد|التفاصيل|رابط",
    "ja": "ここをクリック|こちらをクリック|こちら|ここ|リンク|続きを読む|続く|全文表示|詳細|詳しくはこちら|もっと見る",
    "ko": "여기|여기를 클릭|클릭|링크|자세히|자세히 보기|계속|이동|전체 보기|더 보기",
    "ta": "அடுத்த பக்கம்|மறுபக்கம்|முந்தைய பக்கம்|முன்பக்கம்|மேலும் அறிக|மேலும் தகவலுக்கு|தயவுசெய்து இங்கே அழுத்தவும்|இங்கே கிளிக் செய்யவும்",
    "fa": "اطلاعات بیشتر|اطلاعات|این|اینجا بزنید|اینجا کلیک کنید|اینجا|برو|بیشتر بخوانید|بیشتر بدانید|بیشتر|شروع",
    "zh": "点击这里|点此|这里|此处|更多|查看更多|了解更多|详情|阅读更多|阅读全文|链接",
}  # fmt: skip
GENERIC: Final = {language: frozenset(phrases.split("|")) for language, phrases in _PHRASES.items()}
_ANY: Final = frozenset().union(*GENERIC.values())
_ENDS: Final = re.compile(r"^[\s»›→>«‹←\-–—.…:!|+]+|[\s»›→>«‹←\-–—.…:!|+]+$")


def is_generic(text: str, language: str) -> bool:
    """Whether a link's text is in the list of its language; of all languages when the language has no list."""
    phrase = _ENDS.sub("", text.casefold())
    return phrase in GENERIC.get({"nb": "no", "nn": "no"}.get(language, language), _ANY)
